import { createHash } from 'node:crypto'
import type { Dependency } from '../inventory/dependency-record.ts'
import { parseLicense } from '../inventory/license-expression.ts'
import { packageName, packageUrl } from './package-url.ts'

/**
 * Identifiers that CycloneDX may hold as such: its schema knows the list of SPDX, and refuses others. These are the ones that
 * nearly all packages use; the rest is written as a name.
 */
const SPDX_IDS = new Set(
  `0BSD AFL-2.1 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-2.0 BlueOak-1.0.0 BSD-2-Clause BSD-3-Clause
BSL-1.0 CC-BY-3.0 CC-BY-4.0 CC0-1.0 CDDL-1.0 CDDL-1.1 EPL-1.0 EPL-2.0 GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later ISC
LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MIT MIT-0 MPL-1.1 MPL-2.0 OFL-1.1 PSF-2.0 Python-2.0 Unicode-DFS-2016
Unlicense WTFPL Zlib ZPL-2.1`.split(/\s+/),
)

export interface Component {
  type: 'library'
  'bom-ref': string
  group?: string
  name: string
  version?: string
  purl: string
  licenses?: [{ license: { id: string } | { name: string } }] | [{ expression: string }]
}

/** Pure. */
export function toComponent(dependency: Dependency): Component {
  const purl = packageUrl(dependency)
  const { group, name } = packageName(dependency)
  return {
    type: 'library',
    'bom-ref': purl,
    ...(group !== '' && { group }),
    name,
    ...(dependency.version !== null && { version: dependency.version }),
    purl,
    ...(dependency.license !== null && { licenses: licenses(dependency.license) }),
  }
}

function licenses(license: string): NonNullable<Component['licenses']> {
  if (SPDX_IDS.has(license)) return [{ license: { id: license } }]
  const expression = parseLicense(license)
  return expression && !('license' in expression) ? [{ expression: license }] : [{ license: { name: license } }]
}

/**
 * A bill of materials as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/). The same components make the same bytes: the serial
 * number comes from the content, and there is no time in it, so that two of them can be compared. Pure.
 */
export function cyclonedx(components: Component[], complete: boolean): string {
  const body = {
    version: 1,
    metadata: {
      tools: { components: [{ type: 'application', name: 'cloister' }] },
      component: { type: 'application', 'bom-ref': 'workspace', name: 'workspace' },
    },
    components,
    compositions: [{ aggregate: complete ? 'unknown' : 'incomplete', assemblies: ['workspace'] }],
  }
  const serialNumber = `urn:uuid:${uuidOf(JSON.stringify(body))}`
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber,
    ...body,
  }
  return `${JSON.stringify(bom, null, 2)}\n`
}

/** A UUID of version 8 (RFC 9562): bits of our own, here of a hash. */
function uuidOf(content: string): string {
  const bytes = createHash('sha256').update(content).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

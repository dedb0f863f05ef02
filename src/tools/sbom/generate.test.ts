import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { itWithstandsAttacks } from '../../../test/support/toolchain-cases.ts'
import type { Dependency } from '../inventory/dependency-record.ts'
import { cyclonedx, toComponent } from './cyclonedx-document.ts'
import generate from './generate.ts'
import { packageUrl } from './package-url.ts'

let workspace: ToolWorkspace
let isValid: ValidateFunction
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
  isValid = cyclonedxSchema()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

/** The published schema with what it refers to, as the CycloneDX project packs it. */
function cyclonedxSchema(): ValidateFunction {
  const library = createRequire(import.meta.url).resolve('@cyclonedx/cyclonedx-library')
  const root = library.slice(0, library.lastIndexOf('cyclonedx-library') + 'cyclonedx-library'.length)
  const schema = (name: string) => JSON.parse(readFileSync(join(root, 'res/schema', name), 'utf8')) as object
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: true })
  ;(formats as unknown as (ajv: Ajv) => void)(ajv)
  // Formats of internationalized names, which ajv has none for.
  for (const format of ['iri-reference', 'idn-email']) ajv.addFormat(format, /^\S*$/)
  ajv.addSchema(schema('spdx.SNAPSHOT.schema.json'), 'http://cyclonedx.org/schema/spdx.SNAPSHOT.schema.json')
  ajv.addSchema(schema('jsf-0.82.SNAPSHOT.schema.json'), 'http://cyclonedx.org/schema/jsf-0.82.SNAPSHOT.schema.json')
  ajv.addSchema(
    schema('cryptography-defs.SNAPSHOT.schema.json'),
    'http://cyclonedx.org/schema/cryptography-defs.SNAPSHOT.schema.json',
  )
  return ajv.compile(schema('bom-1.6.SNAPSHOT.schema.json'))
}

function expectValid(document: unknown): void {
  isValid(document)
  expect(isValid.errors?.slice(0, 5) ?? []).toEqual([])
}

const sbom = async (args: object = {}) => {
  const { output, artifacts } = await workspace.call(generate, { ...args })
  const text = String(artifacts?.[0]?.content)
  return { output, text, bom: JSON.parse(text) as { components: Record<string, unknown>[]; serialNumber: string } }
}

describe('the schema', () => {
  it.each([
    ['no kind', { components: [{ name: 'x' }] }],
    [
      'a licence that SPDX does not know',
      { components: [{ type: 'library', name: 'x', licenses: [{ license: { id: 'Nonsense' } }] }] },
    ],
    ['a component without a name', { components: [{ type: 'library', 'bom-ref': 'a' }] }],
    ['a serial number that is none', { serialNumber: 'urn:uuid:x' }],
    ['an unknown field', { no_such_field: 1 }],
  ])('refuses a document with %s', (_, fields) => {
    expect(isValid({ ...(JSON.parse(cyclonedx([], true)) as object), ...fields })).toBe(false)
  })
})

describe('sbom.generate', () => {
  it('makes a valid document of a real lockfile, with hundreds of packages', async () => {
    const repository = fileURLToPath(new URL('../../../', import.meta.url))
    await workspace.plant({
      'package.json': readFileSync(join(repository, 'package.json')),
      'package-lock.json': readFileSync(join(repository, 'package-lock.json')),
    })
    const { output, bom, text } = await sbom()
    expectValid(bom)
    expect(output).toMatchObject({
      project_type: 'node',
      format: 'cyclonedx-json',
      artifact_name: 'sbom.cdx.json',
      truncated: false,
      sources: ['package-lock.json'],
    })
    expect(output['components_count']).toBeGreaterThan(100)
    expect(bom.components).toHaveLength(output['components_count'] as number)
    const { version } = JSON.parse(readFileSync(join(repository, 'node_modules/zod/package.json'), 'utf8')) as { version: string }
    expect(bom.components).toContainEqual({
      type: 'library',
      'bom-ref': `pkg:npm/zod@${version}`,
      name: 'zod',
      version,
      purl: `pkg:npm/zod@${version}`,
      licenses: [{ license: { id: 'MIT' } }],
    })
    expect((await sbom()).text).toBe(text)
  })

  it('holds components of all ecosystems at once', async () => {
    await workspace.plant({
      'package-lock.json':
        '{"lockfileVersion":3,"packages":{"node_modules/@s/a":{"version":"1.0.0","license":"(MIT OR Apache-2.0)"}}}',
      'requirements.txt': 'flask==2.0.1\nunpinned\n',
      'go.mod': 'module x\ngo 1.19\nrequire example.com/Mod v1.0.0\n',
      'Cargo.lock': '[[package]]\nname = "serde"\nversion = "1.0.1"\nsource = "registry"\n',
      'pom.xml':
        '<project><dependencies><dependency><groupId>g</groupId><artifactId>a</artifactId><version>1</version></dependency></dependencies></project>',
    })
    const { output, bom } = await sbom()
    expectValid(bom)
    expect(bom.components.map((each) => each['purl'])).toEqual([
      'pkg:cargo/serde@1.0.1',
      'pkg:golang/example.com/mod@v1.0.0',
      'pkg:maven/g/a@1',
      'pkg:npm/%40s/a@1.0.0',
      'pkg:pypi/flask@2.0.1',
      'pkg:pypi/unpinned',
    ])
    expect(output['sources']).toEqual(['package-lock.json', 'requirements.txt', 'go.mod', 'Cargo.lock', 'pom.xml'])
  })

  it('stays valid whatever a lockfile holds', async () => {
    const names = ['__proto__', 'a"b', 'a<b>', 'ünïcode', '\ud800', '../../x', '@', '@/', 'a/b/c', '%00', "it's"]
    const packages = Object.fromEntries(
      names.map((name, n) => [`node_modules/${name}`, { version: `${n}"\\`, license: `odd ${name} (licence` }]),
    )
    await workspace.plant({
      'package-lock.json': JSON.stringify({ lockfileVersion: 3, packages }).replace(
        '"packages":{',
        '"packages":{"node_modules/__proto__":{"version":"1"},',
      ),
    })
    const { bom } = await sbom()
    expectValid(bom)
    expect(bom.components.length).toBeGreaterThanOrEqual(8)
    await workspace.clear()
    const empty = await sbom()
    expectValid(empty.bom)
    expect(empty.output).toMatchObject({ components_count: 0, project_type: 'unknown' })
  })

  it('keeps to max_components, and says so', async () => {
    const packages = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`node_modules/p${n}`, { version: '1.0.0' }]))
    await workspace.plant({ 'sub/package-lock.json': JSON.stringify({ lockfileVersion: 3, packages }) })
    const { output, bom } = await sbom({ path: 'sub', max_components: 7 })
    expect(output).toMatchObject({ components_count: 7, truncated: true })
    expectValid(bom)
    expect(bom).toMatchObject({ compositions: [{ aggregate: 'incomplete' }] })
    expect((await sbom({ path: 'sub', max_components: 30 })).output).toMatchObject({ components_count: 30, truncated: false })
  })

  it('says what it cannot read, and reads no other places that files name', async () => {
    await workspace.plant({ 'package-lock.json': '{' })
    expect(await workspace.failure(generate, {})).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('package-lock.json'),
    })
    await workspace.plant({ 'package-lock.json': Buffer.alloc(17 * 1024 * 1024, 0x20) })
    expect(await workspace.failure(generate, {})).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('larger than'),
    })
    await workspace.clear()
    symlinkSync('/etc/passwd', join(workspace.code, 'package-lock.json'))
    expect(await workspace.failure(generate, {})).toMatchObject({ code: 'policy_denied' })
    await workspace.clear()
    await workspace.plant({ file: '', 'requirements.txt': '-r ../../../etc/passwd\n-r /etc/hosts\nflask==1.0\n' })
    expect(await workspace.failure(generate, { path: 'file' })).toMatchObject({ code: 'invalid_argument' })
    expect((await sbom()).output).toMatchObject({ components_count: 1, sources: ['requirements.txt'] })
    expect(existsSync(dirname(workspace.code))).toBe(true)
  })

  itWithstandsAttacks(() => workspace, {
    tool: generate,
    project: {},
    path: 'path',
    partial: true,
    refused: [{ path: 7 }, { format: 'spdx' }, { max_components: 0 }, { max_components: 10_001 }, { max_components: '5' }],
  })
})

describe('components', () => {
  const base: Dependency = { ecosystem: 'npm', name: 'a', version: '1', license: null }

  it.each<[Partial<Dependency>, string]>([
    [{}, 'pkg:npm/a@1'],
    [{ name: '@scope/a', version: '1.0.0+build' }, 'pkg:npm/%40scope/a@1.0.0%2Bbuild'],
    [{ ecosystem: 'maven', name: 'org.x:y' }, 'pkg:maven/org.x/y@1'],
    [
      { ecosystem: 'golang', name: 'github.com/A/b', version: 'v1.0.0+incompatible' },
      'pkg:golang/github.com/a/b@v1.0.0%2Bincompatible',
    ],
    [{ version: null }, 'pkg:npm/a'],
    [{ name: '\ud800' }, 'pkg:npm/%EF%BF%BD@1'],
  ])('%j is %s', (fields, purl) => {
    expect(packageUrl({ ...base, ...fields })).toBe(purl)
  })

  it.each<[string, unknown]>([
    ['MIT', [{ license: { id: 'MIT' } }]],
    ['(MIT OR ISC)', [{ expression: '(MIT OR ISC)' }]],
    ['SEE LICENSE IN X', [{ license: { name: 'SEE LICENSE IN X' } }]],
    ['No-Such-1.0', [{ license: { name: 'No-Such-1.0' } }]],
  ])('licence %s', (license, licenses) => {
    const component = toComponent({ ...base, license })
    expect(component.licenses).toEqual(licenses)
    expectValid(JSON.parse(cyclonedx([component], true)))
  })
})

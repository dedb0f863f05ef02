import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mergeProcessCovs, type ProcessCov } from '@bcoe/v8-coverage'
import convert from 'ast-v8-to-istanbul'
import { parseAstAsync } from 'rolldown/parseAst'
import type { CoverageMap } from './measure.ts'

/**
 * What ran of src/host. Host is a process of its own, which writes what V8 counted in it when it ends: in the folder that
 * `CLOISTER_HOST_COVERAGE` named, while the conformance suite ran host from its sources. Those are TypeScript with its types blanked
 * out, so that places in them are places in the files.
 */
export async function hostCoverage(folder: string): Promise<CoverageMap> {
  if (!existsSync(folder)) return {}
  const processes = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as ProcessCov)
  const map: CoverageMap = {}
  for (const script of mergeProcessCovs(processes).result) {
    if (!/\/src\/host\/.*\.ts$/.test(script.url)) continue
    const code = stripTypeScriptTypes(readFileSync(fileURLToPath(script.url), 'utf8'))
    Object.assign(map, await convert({ code, ast: parseAstAsync(code), coverage: script }))
  }
  return map
}

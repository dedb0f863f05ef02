import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hostCoverage } from './host-coverage.ts'
import { type CoverageMap, measure, percent } from './measure.ts'

/** Folders of `src` that must be covered. */
const FOLDERS = ['services', 'policy', 'catalog', 'store', 'artifacts', 'tools', 'sandbox', 'host', 'agent']
const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

/** Percent of lines, and of branches, of each folder. @throws Error that says what is accepted */
function minimum(): number {
  const given = process.env['COVERAGE_MIN'] || '80'
  const value = Number(given)
  if (!(value >= 0 && value <= 100)) throw new Error(`COVERAGE_MIN=${given}: a number from 0 to 100`)
  return value
}

const least = minimum()
const inProcess = JSON.parse(readFileSync(join(ROOT, 'coverage/coverage-final.json'), 'utf8')) as CoverageMap
const measures = measure({ ...inProcess, ...(await hostCoverage(join(ROOT, 'coverage/host'))) }, ROOT, FOLDERS)

console.log(`\ncovered, in percent (at least ${least} each)\n\n  ${'src/'.padEnd(12)}    lines  branches`)
for (const { folder, lines, branches } of measures)
  console.log(`  ${folder.padEnd(12)}  ${percent(lines).toFixed(2).padStart(7)}   ${percent(branches).toFixed(2).padStart(7)}`)

const below = measures.flatMap(({ folder, lines, branches }) =>
  Object.entries({ lines, branches }).flatMap(([what, share]) =>
    percent(share) < least
      ? [`${what} of src/${folder}: ${percent(share).toFixed(2)} % (${share.covered} of ${share.total})`]
      : [],
  ),
)
for (const line of below) console.error(`below ${least} %: ${line}`)
if (below.length > 0) process.exitCode = 1

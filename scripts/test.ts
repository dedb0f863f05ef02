import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * `node scripts/test.ts`: every test, counting what they cover, and then whether that is enough. With arguments: what vitest makes
 * of them, and nothing is counted, because part of the tests covers part of the code. `--coverage` first: all but the tests of whole
 * servers, which are processes of their own and count for nothing.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const COVERAGE = join(ROOT, 'coverage')
const PROJECTS = ['--project', 'unit', '--project', 'conformance']

function run(script: string, args: string[], env: Record<string, string> = {}): number {
  // The check reads types away with what Node still calls an experiment, and says so in the midst of the summary.
  const { status } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, script), ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  return status ?? 1
}

const given = process.argv.slice(2)
const vitest = ['run', ...(given[0] === '--coverage' ? [...PROJECTS, ...given.slice(1)] : given)]
const counts = given.length === 0 || given[0] === '--coverage'
if (counts) {
  rmSync(COVERAGE, { recursive: true, force: true })
  mkdirSync(join(COVERAGE, 'host'), { recursive: true })
}
const tests = run(
  'node_modules/vitest/vitest.mjs',
  counts ? [...vitest, '--coverage'] : vitest,
  counts ? { CLOISTER_HOST_COVERAGE: join(COVERAGE, 'host') } : {},
)
process.exitCode = tests
if (counts && tests === 0) process.exitCode = run('scripts/coverage/check.ts', [])

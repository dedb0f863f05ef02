import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
let folder: string | undefined

afterEach(() => {
  if (folder) rmSync(folder, { recursive: true })
})

/** Runs vitest with the reporter on some test files, as a process. */
function run(files: Record<string, string>): { code: number | null; lines: string[]; file: string } {
  folder = mkdtempSync(join(tmpdir(), 'cloister-reporter-'))
  for (const [name, body] of Object.entries(files)) {
    const head = `import { describe, expect, it } from ${JSON.stringify(join(ROOT, 'node_modules/vitest/dist/index.js'))}\n`
    writeFileSync(join(folder, name), head + body)
  }
  const summary = join(folder, 'summary')
  const args = [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--root',
    folder,
    '--reporter',
    join(ROOT, 'scripts/summary-reporter.ts'),
  ]
  const env = { PATH: process.env['PATH'], CLOISTER_TEST_SUMMARY: summary }
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', env })
  return { code: status, lines: stdout.trimEnd().split('\n'), file: readFileSync(summary, 'utf8') }
}

test('counts, names skips with their reasons, and the count is the last line', () => {
  const { code, lines, file } = run({
    'a.test.ts': `
      it('passes', () => {})
      it('is skipped', (context) => context.skip('there is no moon tonight'))
      it.skip('is skipped in silence', () => {})`,
  })
  expect(code).toBe(0)
  expect(lines).toContain('skipped: a.test.ts > is skipped: there is no moon tonight')
  expect(lines).toContain('skipped: a.test.ts > is skipped in silence: no reason given')
  expect(lines.at(-1)).toBe('1 passed, 0 failed, 2 skipped')
  expect(file).toBe('1 passed, 0 failed, 2 skipped\n')
})

test('failures are failures: of a test, of a file that cannot be loaded, of what goes before tests', () => {
  const { code, lines } = run({
    'a.test.ts': `it('fails', () => expect(1).toBe(2)); it('passes', () => {})`,
    'b.test.ts': `throw new Error('cannot be loaded')`,
    'c.test.ts': `import { beforeAll } from ${JSON.stringify(join(ROOT, 'node_modules/vitest/dist/index.js'))}
      describe('group', () => { beforeAll(() => { throw new Error('no') }); it('never ran', () => {}) })`,
  })
  expect(code).toBe(1)
  expect(lines).toContain('skipped: c.test.ts > group > never ran: what comes before it failed')
  expect(lines.at(-1)).toBe('1 passed, 3 failed, 1 skipped')
})

test('a run in which nothing ran fails', () => {
  const { code, lines } = run({ 'a.test.ts': `it.skip('is skipped', () => {})` })
  expect(code).toBe(1)
  expect(lines.at(-1)).toBe('0 passed, 0 failed, 1 skipped')
})

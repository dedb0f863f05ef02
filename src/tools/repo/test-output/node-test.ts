import { type TestOutputParser, total, unique } from './test-summary.ts'

/** node:test with its spec reporter. */
export const parseNodeSpec: TestOutputParser = (output) => {
  const count = (what: string) => total(output, new RegExp(`^ℹ ${what} (\\d+)$`, 'gm'))
  const passed = count('pass')
  const failed = count('fail')
  if (passed === null || failed === null) return null
  const failures = output
    .split(/^✖ failing tests:$/m)
    .slice(1)
    .join('\n')
  const names = [...failures.matchAll(/^test at (.+?)(?::\d+:\d+)?\n✖ (.+?)(?: \([\d.]+ms\))?(?: # (?:SKIP|TODO)\b.*)?$/gm)].map(
    (match) => testName(match[1] ?? '', match[2] ?? ''),
  )
  return {
    runner: 'node:test',
    passed,
    failed: failed + (count('cancelled') ?? 0),
    skipped: (count('skipped') ?? 0) + (count('todo') ?? 0),
    failed_tests: unique(names),
  }
}

/** node:test with its TAP reporter (what Node 20 prints where there is no terminal), and others that end with the same counts. */
export const parseTap: TestOutputParser = (output) => {
  const count = (what: string) => total(output, new RegExp(`^# ${what}\\s+(\\d+)$`, 'gm'))
  const tests = count('tests')
  const passed = count('pass')
  if (!/^(TAP version \d+|\d+\.\.\d+)$/m.test(output) || tests === null) return null
  const skipped = (count('skipped') ?? 0) + (count('todo') ?? 0)
  const failed = count('fail') ?? 0
  const names: string[] = []
  // Bounded: a block that never ends must not be looked for through all of a hostile output, again and again.
  for (const match of output.matchAll(/^( *)not ok \d+(?: - (.*))?\n(?:\1 {2}---\n((?:.*\n){0,100}?)\1 {2}\.\.\.$)?/gm)) {
    const [, , title = '', details = ''] = match
    if (/(^| )# (TODO|SKIP)\b/i.test(title) || /^ *type: 'suite'$/m.test(details)) continue
    const file = /^ *location: '(.+?)(?::\d+:\d+)?'$/m.exec(details)?.[1] ?? ''
    names.push(testName(file, title.replace(/\\([#\\])/g, '$1')))
  }
  return { runner: 'tap', passed: passed ?? 0, failed: failed + (count('cancelled') ?? 0), skipped, failed_tests: unique(names) }
}

/** A file that could not be loaded is a test of its own name. */
function testName(file: string, title: string): string {
  const path = file.replace(/^\/session\/code\//, '')
  return path === '' || title.endsWith(path) ? title.replace(/^\/session\/code\//, '') : `${path} > ${title}`
}

import { type TestOutputParser, unique } from './test-summary.ts'

export const parseJest: TestOutputParser = (output) => {
  const line = /^Tests: +(.+ total)$/m.exec(output)?.[1]
  if (line === undefined) return null
  const count = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(line)?.[1] ?? 0)
  const names: string[] = []
  let file = ''
  let unloadable = 0
  // The failures are told again at the end of a long run.
  for (const text of (output.split(/^Summary of all failing tests$/m)[0] ?? '').split('\n')) {
    const failing = /^(?:FAIL|PASS) (?:\S+ )?(\S+\.\w+)(?: \(.*\))?$/.exec(text)
    if (failing) file = (failing[1] ?? '').replace(/^\.\//, '')
    const title = /^ {2}● (.+)$/.exec(text)?.[1]
    if (title === undefined || title === 'Console') continue
    if (title === 'Test suite failed to run') {
      unloadable++
      names.push(file)
    } else names.push(`${file} > ${title.replaceAll(' › ', ' > ')}`)
  }
  return {
    runner: 'jest',
    passed: count('passed'),
    failed: count('failed') + unloadable,
    skipped: count('skipped') + count('todo'),
    failed_tests: unique(names),
    ...(unloadable > 0 && line === '0 total' && { none_ran: true }),
  }
}

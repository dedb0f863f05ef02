import { type TestOutputParser, unique } from './test-summary.ts'

/** Python's unittest, verbose or not. */
export const parseUnittest: TestOutputParser = (output) => {
  const ran = /^Ran (\d+) tests? in [\d.]+s$/m.exec(output)
  if (!ran) return null
  const verdict = /^(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$/m.exec(output.slice(ran.index))?.[1] ?? ''
  const count = (what: string) => Number(new RegExp(`\\b${what}=(\\d+)`).exec(verdict)?.[1] ?? 0)
  const expected = count('expected failures')
  const failed = /(^|, )failures=/.test(verdict) ? Number(/(?:^|, )failures=(\d+)/.exec(verdict)?.[1]) : 0
  const bad = failed + count('errors') + count('unexpected successes')
  const skipped = count('skipped') + expected
  const reports = [...output.matchAll(/^(?:FAIL|ERROR|UNEXPECTED SUCCESS): (\S+) \(([^)]+)\)/gm)]
  const names = reports.map((match) => testName(match[1] ?? '', match[2] ?? ''))
  const unloaded = reports.filter((match) => isOfLoader(match[2] ?? '')).length
  return {
    runner: 'unittest',
    // Subtests fail one by one and are not among those that ran.
    passed: Math.max(0, Number(ran[1]) - Math.min(bad, unique(names).length || bad) - skipped),
    failed: bad,
    skipped,
    failed_tests: unique(names),
    ...(unloaded > 0 && unloaded === Number(ran[1]) && { none_ran: true }),
  }
}

/** Python up to 3.10 prints the class, later ones the whole dotted name. A module that cannot be imported is a test of the loader. */
function testName(test: string, where: string): string {
  if (isOfLoader(where)) return test
  return where.endsWith(`.${test}`) ? where : `${where}.${test}`
}

function isOfLoader(where: string): boolean {
  return where.startsWith('unittest.loader._FailedTest')
}

import { type TestOutputParser, total, unique } from './test-summary.ts'

/** Vitest's default and verbose reporters. */
export const parseVitest: TestOutputParser = (output) => {
  const line = /^ +Tests {2}(.+)$/m.exec(output)?.[1]
  if (line === undefined || !/^ +Test Files {2}/m.test(output)) return null
  const count = (what: string) => Number(new RegExp(`(\\d+) ${what}`).exec(line)?.[1] ?? 0)
  const names = [...output.matchAll(/^ FAIL {2}(?:\|[^|\n]+\| )?(.+)$/gm)].map((match) =>
    match[1]?.replace(/ \[ .+ \]$/, '').trim(),
  )
  // A file that could not be loaded has no tests that could be counted.
  const unloadable = total(output, /^⎯+ Failed Suites (\d+) ⎯+$/gm) ?? 0
  return {
    runner: 'vitest',
    passed: count('passed'),
    failed: count('failed') + unloadable,
    skipped: count('skipped') + count('todo'),
    failed_tests: unique(names),
    ...(unloadable > 0 && line === 'no tests' && { none_ran: true }),
  }
}

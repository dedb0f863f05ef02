import { type TestOutputParser, total, unique } from './test-summary.ts'

/** Mocha's spec reporter. */
export const parseMocha: TestOutputParser = (output) => {
  const passed = total(output, /^ {2}(\d+) passing \(/gm)
  if (passed === null) return null
  const failures = output
    .split(/^ {2}\d+ failing$/m)
    .slice(1)
    .join('\n')
  // "  1) outer", deeper lines down to "title:".
  const names = [...failures.matchAll(/^ {2}\d+\) ((?:.+\n)*?.*):$/gm)].map((match) =>
    match[1]
      ?.split('\n')
      .map((part) => part.trim())
      .join(' > '),
  )
  return {
    runner: 'mocha',
    passed,
    failed: total(output, /^ {2}(\d+) failing$/gm) ?? 0,
    skipped: total(output, /^ {2}(\d+) pending$/gm) ?? 0,
    failed_tests: unique(names),
  }
}

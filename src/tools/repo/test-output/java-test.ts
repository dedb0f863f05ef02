import { type TestOutputParser, unique } from './test-summary.ts'

/** Maven's surefire (and failsafe), which prints a total after the lines of the classes. */
export const parseSurefire: TestOutputParser = (output) => {
  const totals = [...output.matchAll(/^(?:\[\w+\] )?Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)\s*$/gm)]
  if (totals.length === 0) return null
  const sum = (group: number) => totals.reduce((all, match) => all + Number(match[group]), 0)
  const failed = sum(2) + sum(3)
  const names = [
    ...output.matchAll(/^(?:\[ERROR\] )?(\S+?)(?:\((\S+)\))? +(?:-- )?Time elapsed: .*<<< (?:FAILURE|ERROR)!$/gm),
  ].map((match) => (match[2] === undefined ? match[1] : `${match[2]}.${match[1]}`))
  return { runner: 'surefire', passed: sum(1) - failed - sum(4), failed, skipped: sum(4), failed_tests: unique(names) }
}

/** Gradle prints counts only when something failed. */
export const parseGradle: TestOutputParser = (output) => {
  const line = /^(\d+) tests? completed(?:, (\d+) failed)?(?:, (\d+) skipped)?$/m.exec(output)
  if (!line) return null
  const failed = Number(line[2] ?? 0)
  const skipped = Number(line[3] ?? 0)
  const names = [...output.matchAll(/^(\S+) > (.+) FAILED$/gm)].map((match) => `${match[1]}.${match[2]}`)
  return { runner: 'gradle', passed: Number(line[1]) - failed - skipped, failed, skipped, failed_tests: unique(names) }
}

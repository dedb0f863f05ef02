import { type TestOutputParser, unique } from './test-summary.ts'

export const parseCtest: TestOutputParser = (output) => {
  const line = /^\d+% tests passed, (\d+) tests? failed out of (\d+)$/m.exec(output)
  if (!line) return null
  const failed = Number(line[1])
  const list = (title: string) =>
    [...(output.split(title)[1]?.split('\n\n')[0] ?? '').matchAll(/^\s+\d+ - (\S+) \((.+)\)/gm)].map((match) => match[1])
  const skipped = unique(list('The following tests did not run:')).length
  return {
    runner: 'ctest',
    passed: Number(line[2]) - failed - skipped,
    failed,
    skipped,
    failed_tests: unique(list('The following tests FAILED:')),
  }
}

import { type TestOutputParser, unique } from './test-summary.ts'

export const parsePytest: TestOutputParser = (output) => {
  const lines = [...output.matchAll(/^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+|no tests ran) in [\d.]+s(?: \([\d:]+\))?(?: =+)?$/gm)]
  const line = lines.at(-1)?.[1]
  if (line === undefined) return null
  const count = (what: string) => Number(new RegExp(`\\b(\\d+) ${what}\\b`).exec(line)?.[1] ?? 0)
  const summary = output.split(/^=+ short test summary info =+$/m).at(-1) ?? ''
  const names = [...summary.matchAll(/^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$/gm)].map((match) => match[1])
  return {
    runner: 'pytest',
    passed: count('passed') + count('xpassed'),
    failed: count('failed') + count('errors?'),
    skipped: count('skipped') + count('xfailed'),
    failed_tests: unique(names),
  }
}

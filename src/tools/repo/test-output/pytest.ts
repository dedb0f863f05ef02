import { type TestOutputParser, unique } from './test-summary.ts'

export const parsePytest: TestOutputParser = (output) => {
  const lines = [...output.matchAll(/^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+|no tests ran) in [\d.]+s(?: \([\d:]+\))?(?: =+)?$/gm)]
  const line = lines.at(-1)?.[1]
  if (line === undefined) return null
  const count = (what: string) => Number(new RegExp(`\\b(\\d+) ${what}\\b`).exec(line)?.[1] ?? 0)
  const summary = output.split(/^=+ short test summary info =+$/m).at(-1) ?? ''
  const names = unique([...summary.matchAll(/^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$/gm)].map((match) => match[1]))
  const passed = count('passed') + count('xpassed')
  const skipped = count('skipped') + count('xfailed')
  // A file that could not be collected is named without a test; a fixture that fails, with the test that needed it.
  const uncollected = names.length > 0 && names.every((name) => !name.includes('::'))
  return {
    runner: 'pytest',
    passed,
    failed: count('failed') + count('errors?'),
    skipped,
    failed_tests: names,
    ...(uncollected && passed + skipped + count('failed') === 0 && { none_ran: true }),
  }
}

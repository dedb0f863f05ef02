import { type TestOutputParser, total, unique } from './test-summary.ts'

/** `cargo test`: one result for the library, each program, each file of integration tests, and the examples in the docs. */
export const parseCargoTest: TestOutputParser = (output) => {
  const passed = total(output, /^test result: .+? (\d+) passed;/gm)
  if (passed === null) return null
  // Also in quiet mode: a list of names, indented by four, between "failures:" and an empty line.
  const names = [...output.matchAll(/^failures:\n((?: {4}\S.*\n)+)/gm)].flatMap((match) =>
    (match[1] ?? '').split('\n').map((name) => name.trim()),
  )
  return {
    runner: 'cargo test',
    passed,
    failed: total(output, /^test result: .+? (\d+) failed;/gm) ?? 0,
    skipped: total(output, /^test result: .+? (\d+) ignored;/gm) ?? 0,
    failed_tests: unique(names),
  }
}

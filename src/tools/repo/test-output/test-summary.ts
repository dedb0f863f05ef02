/** What a test runner reported. */
export interface TestSummary {
  runner: string
  /** Null: the runner does not say (go test without -v). */
  passed: number | null
  failed: number
  /** Tests that did not run on purpose: skipped, ignored, to do, expected to fail. */
  skipped: number
  /** As one would name them to the runner. Suites that could not be loaded are among them. */
  failed_tests: string[]
  /** No test ran: all that failed are packages, modules or suites that could not be built or loaded. Absent: some ran, or the runner does not say. */
  none_ran?: true
}

/** Reads one runner's output (colours taken off). Null: this is not its output. Pure; must not throw on any text. */
export type TestOutputParser = (output: string) => TestSummary | null

/** The sum of what a pattern's first group says, over all its matches; null without a match. */
export function total(output: string, pattern: RegExp): number | null {
  let sum: number | null = null
  for (const match of output.matchAll(pattern)) sum = (sum ?? 0) + Number(match[1])
  return sum
}

/** Each name once, in order. */
export function unique(names: (string | undefined)[]): string[] {
  return [...new Set(names.filter((name) => name !== undefined && name !== ''))] as string[]
}

/** Terminal control sequences (colours, links, cursor), and what a carriage return has overwritten. */
export function stripAnsi(output: string): string {
  return (
    output
      // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are made of them
      .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g, '')
      .replaceAll('\r\n', '\n')
      .replace(/^[^\n]*\r(?=[^\n])/gm, '')
  )
}

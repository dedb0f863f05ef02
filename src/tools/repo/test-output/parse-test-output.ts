import { parseCargoTest } from './cargo-test.ts'
import { parseCtest } from './ctest.ts'
import { parseGoJson, parseGoTest } from './go-test.ts'
import { parseGradle, parseSurefire } from './java-test.ts'
import { parseJest } from './jest.ts'
import { parseMocha } from './mocha.ts'
import { parseNodeSpec, parseTap } from './node-test.ts'
import { parsePytest } from './pytest.ts'
import type { TestOutputParser, TestSummary } from './test-summary.ts'
import { parseUnittest } from './unittest.ts'
import { parseVitest } from './vitest.ts'

/** Those with the more telling marks first. */
const PARSERS: TestOutputParser[] = [
  parseGoJson,
  parseNodeSpec,
  parseVitest,
  parseJest,
  parseMocha,
  parsePytest,
  parseUnittest,
  parseCargoTest,
  parseSurefire,
  parseGradle,
  parseCtest,
  parseTap,
  parseGoTest,
]

/** Looks for any known runner's report in this output (`npm test` may run whatever it likes). Null: none was found. */
export function parseTestOutput(output: string): TestSummary | null {
  for (const parse of PARSERS) {
    const summary = parse(output)
    if (summary) return summary
  }
  return null
}

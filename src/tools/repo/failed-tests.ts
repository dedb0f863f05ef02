import { z } from 'zod'
import type { TestSummary } from './test-output/test-summary.ts'

export const failedTestSchema = z.object({
  name: z.string().describe('As the runner names it.'),
  kind: z
    .enum(['go', 'python', 'rust', 'node', 'java', 'c', 'package'])
    .describe('package: not one test but a Go package that could not be built or run.'),
  line: z.int().nullable().describe('Line of the output that reports it, from 1. Null: none that names it.'),
})

export type FailedTest = z.infer<typeof failedTestSchema>

const KINDS: Record<string, FailedTest['kind']> = {
  'go test': 'go',
  pytest: 'python',
  unittest: 'python',
  'cargo test': 'rust',
  surefire: 'java',
  gradle: 'java',
  ctest: 'c',
}

/** How runners mark a line about a failure. */
const MARK = /FAIL|ERROR|Error|not ok|[✖×✗❯]|failed|panicked|\*\*\*|^\s*\d+\) /

/** Characters of a line that are looked at. */
const LOOKED_AT = 1000

/** At most `most` failed tests of a report, each with the line of the output that reports it. Pure. */
export function locateFailures(output: string, summary: TestSummary | null, most: number): FailedTest[] {
  if (!summary) return []
  const marked: { text: string; line: number }[] = []
  for (const [index, line] of output.split('\n').entries()) {
    const text = line.slice(0, LOOKED_AT)
    if (MARK.test(text)) marked.push({ text, line: index + 1 })
  }
  return summary.failed_tests.slice(0, most).map((name) => {
    const leaf = leafOf(name)
    const found = marked.find(({ text }) => text.includes(name)) ?? marked.find(({ text }) => text.includes(leaf))
    return { name, kind: kindOf(name, summary.runner), line: found?.line ?? null }
  })
}

function kindOf(name: string, runner: string): FailedTest['kind'] {
  const kind = KINDS[runner] ?? 'node'
  return kind === 'go' && !/(?:^|\.)(?:Test|Example|Fuzz|Benchmark)[^.]*$/.test(name) ? 'package' : kind
}

/** The last part of a name like `src/a.test.js > suite > test`, `test_a.py::TestA::test_b`, `pkg.TestA/sub` or `tests::adds`. */
function leafOf(name: string): string {
  const part =
    name
      .replace(/ \[[^\]]*\]$/, '')
      .split(/ > |::/)
      .at(-1) ?? name
  return /\.(Test|Example|Fuzz)/.test(part) ? part.slice(part.search(/(?<=\.)(?:Test|Example|Fuzz)/)) : part
}

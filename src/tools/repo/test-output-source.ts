import { z } from 'zod'
import type { ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import type { ToolArtifact } from '../../domain/tool-artifact.ts'
import { detectProject } from './detect-project.ts'
import { parseTestOutput } from './test-output/parse-test-output.ts'
import { stripAnsi, type TestSummary } from './test-output/test-summary.ts'
import { runTests, testArguments, testsVerdict } from './test-run.ts'

/** Characters of output that a caller may hand in. */
const MOST_PROVIDED = 1024 * 1024

export const sourceArguments = {
  output: z
    .string()
    .max(MOST_PROVIDED)
    .optional()
    .describe('What a test runner printed. Absent: the tests are run now; an empty text is an output too.'),
  ...testArguments,
}

export const sourceOutputs = {
  project_type: z.string(),
  source: z.enum(['provided_output', 'test_run']),
  command: z.array(z.string()).describe('The last command that was run; empty if the output was provided.'),
  exit_code: z.int().nullable().describe('Of that command. Null: the output was provided.'),
}

/** A runner's output, and where it comes from. */
export interface TestOutput {
  project_type: string
  source: 'provided_output' | 'test_run'
  command: string[]
  exit_code: number | null
  output: string
  /** Null: no report of a known runner. */
  summary: TestSummary | null
}

/**
 * Takes the output that was provided, or runs the tests, whether they pass or not.
 * @throws ToolError execution_failed when they could not be run at all, timeout and others when they were cut off: with what
 *   `report` makes of the output that came
 */
export async function testOutputFrom(
  args: { output?: string | undefined; target?: string | undefined; extra_args: string[] },
  context: ToolContext,
  report: (found: TestOutput) => Record<string, unknown>,
): Promise<{ found: TestOutput; artifacts: ToolArtifact[] }> {
  if (args.output !== undefined) {
    const { type } = await detectProject(context.sandbox)
    const output = stripAnsi(args.output)
    const source = { source: 'provided_output' as const, command: [], exit_code: null }
    return { found: { project_type: type, ...source, output, summary: parseTestOutput(output) }, artifacts: [] }
  }
  const foundIn = (
    project_type: string,
    run: { command: string[]; exit_code: number; output: string },
    summary: TestSummary | null,
  ) => {
    const { command, exit_code, output } = run
    return { project_type, source: 'test_run' as const, command, exit_code, output, summary }
  }
  const ran = await runTests(args, context, (...cut) => report(foundIn(...cut)))
  const found = foundIn(ran.project_type, ran.run, ran.summary)
  if (ran.run.exit_code !== 0) {
    const [code, message] = testsVerdict(ran.run, ran.summary)
    if (code === 'execution_failed')
      throw new ToolError(code, message, { output: report(found), exitCode: ran.run.exit_code, artifacts: ran.artifacts })
  }
  return { found, artifacts: ran.artifacts }
}

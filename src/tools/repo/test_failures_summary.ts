import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { parseDiagnostics } from '../toolchain/parse-diagnostics.ts'
import { anyExtraArg } from './extra-args.ts'
import { failedTestSchema, locateFailures } from './failed-tests.ts'
import { diagnosticsOutput } from './project-run.ts'
import { sourceArguments, sourceOutputs, type TestOutput, testOutputFrom } from './test-output-source.ts'

const EXCERPT_LINES = 60
const EXCERPT_CHARACTERS = 4000

export default defineTool({
  name: 'repo.test_failures_summary',
  description: `Says which tests fail and where, from the output of a test runner: its counts, the names of the failed tests with the line of
the output that reports each, the places that errors name, and an excerpt around the first failure. Give output to have it read (of
repo.run_tests, or of anything that runs go test, cargo test, node:test, vitest, jest, mocha, pytest, unittest, Maven, Gradle or ctest);
without it the tests are run. Tests that fail are no error here; tests that cannot be run end the call with execution_failed.`,
  input: z.object({
    ...sourceArguments,
    max_failures: z.int().min(1).max(200).default(30).describe('At most this many failed tests.'),
    max_diagnostics: z.int().min(1).max(200).default(30).describe('At most this many places.'),
  }),
  output: z.object({
    ...sourceOutputs,
    failed_count: z.int().nullable().describe('Of all failed tests. Null: no report of a known runner was found.'),
    failed_tests: z.array(failedTestSchema),
    ...diagnosticsOutput,
    output_excerpt: z.string().describe('Around the first failure, else the end.'),
    summary: z.string().describe('In one sentence.'),
    output: z.string(),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 180,
  output_limit_kb: 2048,
  policy: {
    paths: [{ field: 'target', access: 'read' }],
    command_args: [{ field: 'extra_args', allow: anyExtraArg('test') }],
    whole_repository: true,
  },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [
    { title: 'Run the tests and say what fails', args: {} },
    { title: 'Read an output', args: { output: '--- FAIL: TestSum (0.00s)\nFAIL\texample.com/demo\t0.01s\n', max_failures: 5 } },
  ],
  async handler({ max_failures, max_diagnostics, ...args }, context) {
    const report = (found: TestOutput) => {
      const failed_tests = locateFailures(found.output, found.summary, max_failures)
      const { project_type, source, command, exit_code, output } = found
      return {
        ...{ project_type, source, command, exit_code },
        failed_count: found.summary?.failed ?? null,
        failed_tests,
        diagnostics: parseDiagnostics(output).slice(0, max_diagnostics),
        output_excerpt: excerpt(output, failed_tests.find((test) => test.line !== null)?.line ?? null),
        summary: sentence(found),
        output,
      }
    }
    const { found, artifacts } = await testOutputFrom(args, context, report)
    return { output: report(found), exit_code: found.exit_code, artifacts }
  },
})

function sentence({ summary, exit_code }: TestOutput): string {
  if (!summary)
    return `No report of a known test runner was found${exit_code === null ? '' : `; the command ended with exit code ${exit_code}`}.`
  const passed = summary.passed === null ? '' : `, ${summary.passed} passed`
  const counts = `${summary.runner}: ${summary.failed} failed${passed}, ${summary.skipped} skipped`
  if (summary.failed === 0) return `${counts}.`
  const names = summary.failed_tests.slice(0, 5).join(', ').slice(0, 1000)
  return `${counts}: ${names}${summary.failed_tests.length > 5 ? ', ...' : ''}`
}

function excerpt(output: string, line: number | null): string {
  const lines = output.split('\n')
  if (line === null) return lines.slice(-EXCERPT_LINES).join('\n').slice(-EXCERPT_CHARACTERS)
  const from = Math.max(0, line - 3)
  return lines
    .slice(from, from + EXCERPT_LINES)
    .join('\n')
    .slice(0, EXCERPT_CHARACTERS)
}

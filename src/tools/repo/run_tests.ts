import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { anyExtraArg } from './extra-args.ts'
import { runTests, testArguments, testOutputs, testReport, testsError } from './test-run.ts'

export default defineTool({
  name: 'repo.run_tests',
  description: `Runs the repository's tests with its own runner, told by the files at the root: go test, cargo test, npm test, pytest (or
unittest where pytest is not installed), Maven or Gradle, CMake with ctest, or make test. Returns the output with the counts of passed,
failed and skipped tests and the names of those that failed. Failing tests end the call with the error tests_failed and the same
output; if none could be run (they do not compile or load, the runner is missing), with execution_failed. It installs no dependencies.`,
  input: z.object(testArguments),
  output: z.object(testOutputs),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 180,
  output_limit_kb: 2048,
  policy: {
    paths: [{ field: 'target', access: 'read' }],
    command_args: [{ field: 'extra_args', allow: anyExtraArg('test') }],
    whole_repository: true,
  },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed', 'tests_failed'],
  examples: [
    { title: 'All tests', args: {} },
    { title: 'One file', args: { target: 'test/dates.test.ts' } },
  ],
  async handler(args, context) {
    const ran = await runTests(args, context, testReport)
    const output = testReport(ran.project_type, ran.run, ran.summary)
    const error = testsError(ran, output)
    if (error) throw error
    return { output, exit_code: 0, artifacts: ran.artifacts }
  },
})

import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { runTestToolchain, testToolOutput } from '../toolchain/run-toolchain.ts'
import { npmTargetArgument, planNpmScript } from './npm-script.ts'

export default defineTool({
  name: 'node.test',
  description: `Runs the tests of a Node project with the script "test" of its package.json (npm run test), at the root of the workspace, and
reads the report of node:test, vitest, jest or mocha. Failing tests end the call with tests_failed, the counts and the names; tests that
could not be run, with execution_failed. Without such a script nothing is run, the call succeeds and a diagnostic says so. It installs
nothing. For projects of any language use repo.run_tests.`,
  input: z.object({ target: npmTargetArgument() }),
  output: testToolOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 300,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed', 'tests_failed'],
  examples: [
    { title: 'All tests', args: {} },
    { title: 'One file', args: { target: 'test/dates.test.js' } },
  ],
  async handler({ target }, context) {
    const { commands, missing } = await planNpmScript('test', target, context)
    const result = await runTestToolchain({ commands, artifact: 'test-output.txt' }, context)
    result.output.diagnostics.push(...missing)
    return result
  },
})

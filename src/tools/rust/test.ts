import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { runTestToolchain, testToolOutput } from '../toolchain/run-toolchain.ts'
import { requireAtRoot } from '../toolchain/toolchain-target.ts'
import { packageArgument, packageOption } from './cargo-command.ts'

export default defineTool({
  name: 'rust.test',
  description: `Runs the tests of a Rust project with cargo test, at the root of the workspace: unit tests, integration tests and the examples in
the documentation, all of them also when some fail. Failing tests end the call with tests_failed, the counts and the names; a project
that does not compile ends it with execution_failed and the compiler's findings in diagnostics. To choose tests by name use
repo.run_tests.`,
  input: z.object({ target: packageArgument() }),
  output: testToolOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 300,
  output_limit_kb: 2048,
  policy: { whole_repository: true },
  primary_output: 'output',
  errors: ['execution_failed', 'tests_failed'],
  examples: [{ title: 'All tests', args: {} }],
  async handler({ target }, context) {
    await requireAtRoot(context.sandbox, 'Cargo.toml')
    const command = ['cargo', 'test', '--no-fail-fast', ...packageOption(target)]
    return await runTestToolchain({ commands: [command], artifact: 'test-output.txt' }, context)
  },
})

import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { runTestToolchain, testToolOutput } from '../toolchain/run-toolchain.ts'
import { compileArguments, planCompile } from './compile-command.ts'

export default defineTool({
  name: 'c.test',
  description: `Compiles C sources into one test program, .workspace-dist/c-test, with cc -Wall -Wextra, and runs it: exit code 0 means that the
tests passed, any other ends the call with tests_failed and what the program printed. Sources that do not compile end it with
execution_failed and the compiler's findings in diagnostics. With run false it only compiles. For ctest and make test use
repo.run_tests.`,
  input: z.object({
    ...compileArguments('c-test'),
    run: z.boolean().default(true).describe('false: only compile.'),
  }),
  output: testToolOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 180,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'source', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed', 'tests_failed'],
  examples: [{ title: 'One test program', args: { source: 'tests/check.c' } }],
  async handler({ run, ...args }, context) {
    const { command, program } = await planCompile(args, context)
    const test = `./${program}`
    return await runTestToolchain(
      {
        commands: run ? [command, [test]] : [command],
        artifact: 'test-output.txt',
        program: () => program,
        saidNo: (ran) => ran.command[0] === test,
      },
      context,
    )
  },
})

import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { hasPytest, pythonOf } from '../repo/toolchains/python.ts'
import { runTestToolchain, testToolOutput } from '../toolchain/run-toolchain.ts'
import { pathTargetArgument, requireTarget } from '../toolchain/toolchain-target.ts'

export default defineTool({
  name: 'python.test',
  description: `Runs the tests of a Python project with pytest, at the root of the workspace, with the interpreter of .workspace-venv if
python.install_deps made one. Stops after max_fail failures. Failing tests end the call with tests_failed, the counts and the names; when
pytest is missing, finds no test or cannot run, with execution_failed. It installs nothing. For unittest use repo.run_tests.`,
  input: z.object({
    target: pathTargetArgument('A directory, a file, or one test of a file (tests/test_x.py::test_y). Default: all.').optional(),
    run_pattern: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('Only tests whose names match this expression (pytest -k): "parse and not slow".'),
    max_fail: z.int().min(1).max(20).default(1).describe('Stop after this many failures.'),
  }),
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
    { title: 'All tests, up to ten failures', args: { max_fail: 10 } },
    { title: 'One test', args: { target: 'tests/test_dates.py::test_parse' } },
  ],
  async handler({ target, run_pattern, max_fail }, context) {
    await requireTarget(context.sandbox, '.')
    const [path] = target?.split('::') ?? []
    if (path !== undefined) await requireTarget(context.sandbox, path)
    const python = await pythonOf(context)
    if (!(await hasPytest(python, context)))
      throw new ToolError('execution_failed', `${python} has no pytest: name it in the requirements and call python.install_deps`)
    const options = [`--maxfail=${max_fail}`, ...(run_pattern === undefined ? [] : [`-k=${run_pattern}`])]
    const command = [python, '-m', 'pytest', '-q', ...options, ...(target === undefined ? [] : [target])]
    return await runTestToolchain({ commands: [command], artifact: 'test-output.txt' }, context)
  },
})

import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { detectProject } from '../repo/detect-project.ts'
import { pythonToolchain } from '../repo/toolchains/python.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { pathTargetArgument, requireTarget } from '../toolchain/toolchain-target.ts'

export default defineTool({
  name: 'python.validate',
  description: `Compiles all Python files below a directory, or one file, to see whether they are valid Python (python3 -m compileall). Syntax
errors are in diagnostics, with places, and end the call with execution_failed. It runs nothing of the code, writes nothing into the
workspace, and finds neither missing imports nor wrong types; for those run the tests.`,
  input: z.object({ target: pathTargetArgument('A directory or a file.').default('.') }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 180,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [
    { title: 'Everything', args: {} },
    { title: 'One package', args: { target: 'src/demo' } },
  ],
  async handler({ target }, context) {
    const { sandbox } = context
    const project = await detectProject(sandbox)
    await requireTarget(sandbox, target)
    const plan = await pythonToolchain.validate({ project, target, extra: [], context })
    return await runToolchain({ ...plan, artifact: 'validate-output.txt' }, context)
  },
})

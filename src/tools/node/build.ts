import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { npmTargetArgument, planNpmScript } from './npm-script.ts'

export default defineTool({
  name: 'node.build',
  description: `Builds a Node project with the script "build" of its package.json (npm run build), at the root of the workspace. Without
such a script nothing is run, the call succeeds and a diagnostic says so. A build that fails ends the call with execution_failed, the
whole output and the findings of the compiler. It installs nothing: call node.install first when node_modules is missing.`,
  input: z.object({ target: npmTargetArgument() }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 300,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'Build', args: {} }],
  async handler({ target }, context) {
    const { commands, missing } = await planNpmScript('build', target, context)
    const result = await runToolchain({ commands, artifact: 'build-output.txt' }, context)
    result.output.diagnostics.push(...missing)
    return result
  },
})

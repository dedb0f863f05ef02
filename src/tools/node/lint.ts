import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { npmTargetArgument, planNpmScript } from './npm-script.ts'

export default defineTool({
  name: 'node.lint',
  description: `Checks a Node project with the script "lint" of its package.json (npm run lint), at the root of the workspace. Without such a
script nothing is run, the call succeeds and a diagnostic says so. Findings that make the linter fail end the call with
execution_failed and are listed in diagnostics. It installs nothing and mends nothing by itself.`,
  input: z.object({ target: npmTargetArgument() }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 240,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'Lint one directory', args: { target: 'src' } }],
  async handler({ target }, context) {
    const { commands, missing } = await planNpmScript('lint', target, context)
    const result = await runToolchain({ commands, artifact: 'lint-output.txt' }, context)
    result.output.diagnostics.push(...missing)
    return result
  },
})

import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { pathTargetArgument } from '../toolchain/toolchain-target.ts'
import { GO_TARGET, goPackages } from './go-target.ts'

export default defineTool({
  name: 'go.generate',
  description: `Runs the commands behind "//go:generate" in a Go module's sources (go generate -v), which make or renew source files. They are
whatever the repository says, and run in the sandbox with the session's secrets in their environment. One that fails ends the call
with execution_failed. It builds nothing: call go.build or go.test afterwards, and git.status to see what changed.`,
  input: z.object({ target: pathTargetArgument(GO_TARGET).optional() }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 180,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [{ title: 'The whole module', args: {} }],
  async handler({ target }, context) {
    const packages = await goPackages(target, context)
    return await runToolchain({ commands: [['go', 'generate', '-v', packages]], artifact: 'generate-output.txt' }, context)
  },
})

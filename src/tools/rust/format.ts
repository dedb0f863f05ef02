import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { requireAtRoot } from '../toolchain/toolchain-target.ts'

export default defineTool({
  name: 'rust.format',
  description: `Formats a Rust project with cargo fmt, all packages of the workspace. By default it only checks: what is not formatted is shown as
a difference, listed in diagnostics, and ends the call with execution_failed. With check false the files are rewritten; git.diff shows
what changed, and workspace.undo_edit does not know of it.`,
  input: z.object({ check: z.boolean().default(true).describe('false: rewrite the files.') }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 180,
  policy: { whole_repository: true },
  primary_output: 'output',
  errors: ['execution_failed'],
  examples: [
    { title: 'Is it formatted?', args: {} },
    { title: 'Format it', args: { check: false } },
  ],
  async handler({ check }, context) {
    await requireAtRoot(context.sandbox, 'Cargo.toml')
    const command = ['cargo', 'fmt', '--all', ...(check ? ['--', '--check'] : [])]
    return await runToolchain({ commands: [command], artifact: 'format-output.txt' }, context)
  },
})

import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { requireAtRoot } from '../toolchain/toolchain-target.ts'
import { cargoFindings, cargoText, JSON_MESSAGES } from './cargo-messages.ts'

export default defineTool({
  name: 'rust.clippy',
  description: `Checks a Rust project with cargo clippy, tests and examples too, at the root of the workspace. The lints that it finds are in
diagnostics, with places and names. By default any of them ends the call with execution_failed; with deny_warnings false only errors
do. It changes no source: clippy's own suggestions are in the output, to be applied with fs.edit.`,
  input: z.object({
    deny_warnings: z.boolean().default(true).describe('false: warnings are listed, and the call succeeds.'),
  }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 300,
  policy: { whole_repository: true },
  primary_output: 'output',
  errors: ['execution_failed'],
  examples: [{ title: 'List warnings, and go on', args: { deny_warnings: false } }],
  async handler({ deny_warnings }, context) {
    await requireAtRoot(context.sandbox, 'Cargo.toml')
    const command = ['cargo', 'clippy', '--workspace', '--all-targets', JSON_MESSAGES]
    if (deny_warnings) command.push('--', '-D', 'warnings')
    return await runToolchain(
      { commands: [command], artifact: 'clippy-output.txt', readable: cargoText, findings: ({ raw }) => cargoFindings(raw) },
      context,
    )
  },
})

import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { requireAtRoot } from '../toolchain/toolchain-target.ts'
import { packageArgument, packageOption } from './cargo-command.ts'
import { cargoFindings, cargoProgram, cargoText, JSON_MESSAGES } from './cargo-messages.ts'

export default defineTool({
  name: 'rust.build',
  description: `Builds a Rust project with cargo build, at the root of the workspace, and names the program that was built. What the compiler
found is in diagnostics, with places and codes; errors end the call with execution_failed. In a session without network, dependencies
must be vendored or in cargo's cache. For tests use rust.test, for lints rust.clippy.`,
  input: z.object({
    target: packageArgument(),
    release: z.boolean().default(false).describe('true: optimized (cargo build --release).'),
  }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 300,
  output_limit_kb: 2048,
  policy: { whole_repository: true },
  primary_output: 'output',
  errors: ['execution_failed'],
  examples: [{ title: 'Optimized', args: { release: true } }],
  async handler({ target, release }, context) {
    await requireAtRoot(context.sandbox, 'Cargo.toml')
    const command = ['cargo', 'build', JSON_MESSAGES, ...(release ? ['--release'] : []), ...packageOption(target)]
    return await runToolchain(
      {
        commands: [command],
        artifact: 'build-output.txt',
        readable: cargoText,
        findings: ({ raw }) => cargoFindings(raw),
        program: ({ raw }) => cargoProgram(raw),
      },
      context,
    )
  },
})

import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { compileArguments, planCompile } from './compile-command.ts'

export default defineTool({
  name: 'c.build',
  description: `Compiles C sources into one program, .workspace-dist/c-app, with cc -Wall -Wextra: one source, or all sources of a small project
without a build file. What the compiler found is in diagnostics, warnings too; errors end the call with execution_failed. It knows
no libraries beyond the standard one and no build files: for CMake and make use repo.build.`,
  input: z.object(compileArguments('c-app')),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 180,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'source', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [
    { title: 'All sources', args: {} },
    { title: 'One program', args: { source: 'tools/dump.c', output_name: 'dump' } },
  ],
  async handler(args, context) {
    const { command, program } = await planCompile(args, context)
    return await runToolchain({ commands: [command], artifact: 'build-output.txt', program: () => program }, context)
  },
})

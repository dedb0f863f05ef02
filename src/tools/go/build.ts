import { z } from 'zod'
import { defineTool, type ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { DIST, prepareDirectory } from '../repo/toolchains/toolchain.ts'
import { runToolchain, toolchainOutput } from '../toolchain/run-toolchain.ts'
import { outputNameArgument, pathTargetArgument } from '../toolchain/toolchain-target.ts'
import { GO_TARGET, goPackages } from './go-target.ts'

export default defineTool({
  name: 'go.build',
  description: `Builds packages of a Go module with go build. If there is exactly one program among them it is written to .workspace-dist/app
(or output_name) and named in compiled_binary_path; several programs go to the same directory under their own names, and packages
without a program are only compiled. What the compiler found is in diagnostics; errors end the call with execution_failed. It fetches
no modules in a session without network.`,
  input: z.object({
    target: pathTargetArgument(GO_TARGET).optional(),
    ldflags: z
      .string()
      .max(8)
      .regex(/^-[sw](?: -[sw])?$/, 'may only be -s, -w or both')
      .optional()
      .describe('For the linker: -s and -w leave out what only debuggers need. Nothing else is accepted.'),
    output_name: outputNameArgument()
      .optional()
      .describe('The file name of the program in .workspace-dist, if there is exactly one. Default: app.'),
    race: z.boolean().default(false).describe('Build with the race detector (needs cgo and a C compiler).'),
  }),
  output: toolchainOutput,
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  timeout_seconds: 180,
  output_limit_kb: 2048,
  policy: { paths: [{ field: 'target', access: 'read' }], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found', 'execution_failed'],
  examples: [
    { title: 'Everything', args: {} },
    { title: 'One small program', args: { target: 'cmd/server', output_name: 'server', ldflags: '-s -w' } },
  ],
  async handler({ target, ldflags, output_name, race }, context) {
    const packages = await goPackages(target, context)
    const programs = await programsIn(packages, context)
    if (output_name !== undefined && programs.length !== 1)
      throw new ToolError(
        'invalid_argument',
        `output_name is for one program, and ${packages} has ${programs.length}: choose another target`,
      )
    const program = `${DIST}/${output_name ?? 'app'}`
    await prepareDirectory(context, DIST)
    const options = [...(race ? ['-race'] : []), ...(ldflags === undefined ? [] : [`-ldflags=${ldflags}`])]
    const compile = (to: string, what: string) => ['go', 'build', ...options, '-o', to, what]
    const [only] = programs.length === 1 ? programs : []
    const commands =
      only === undefined
        ? [compile(programs.length === 0 ? '/dev/null' : `${DIST}/`, packages)]
        : // Of several packages go writes to a directory only, under names of its own choice.
          [...(packages.endsWith('...') ? [compile('/dev/null', packages)] : []), compile(program, only)]
    return await runToolchain(
      { commands, artifact: 'build-output.txt', program: () => (only === undefined ? null : program) },
      context,
    )
  },
})

/** The directories of those that are programs. What go cannot load is none; the build then says why. */
async function programsIn(packages: string, { sandbox, session }: ToolContext): Promise<string[]> {
  const command = ['go', 'list', '-e', '-f', '{{if eq .Name "main"}}{{.Dir}}{{end}}', packages]
  const listed = await sandbox.run(command, { quiet: true, ...(session.network === 'none' && { env: { GOPROXY: 'off' } }) })
  return listed.stdout.split('\n').filter((line) => line.startsWith('/'))
}

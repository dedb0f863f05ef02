import { ToolError } from '../../../domain/errors.ts'
import { coveragePercent } from '../../toolchain/coverage-percent.ts'
import { goTextOfJson } from '../test-output/go-test.ts'
import { BUILD, DIST, type PlanRequest, prepareDirectory, type Toolchain } from './toolchain.ts'

const PROFILE = `${BUILD}/coverage.out`
const PROGRAM = `${DIST}/app`

/** A target is a package: a directory, or an import path. */
export const goToolchain: Toolchain = {
  build_system: () => 'go-mod',
  test_framework: () => 'testing',
  test: ({ target, extra }) => ({
    commands: [['go', 'test', '-json', ...extra, packages(target)]],
    readable: goTextOfJson,
  }),
  // Compiles every package, and leaves no program beside the sources.
  build: ({ target, extra }) => ({ commands: [['go', 'build', '-o', '/dev/null', ...extra, packages(target)]] }),
  // The second one type-checks the tests; what vet itself finds is for the static analysis, so its cheapest check is chosen.
  validate: ({ target }) => ({
    commands: [
      ['go', 'build', '-o', '/dev/null', packages(target)],
      ['go', 'vet', '-buildtag', packages(target)],
    ],
  }),
  analyse: ({ target }) => ({ commands: [['go', 'vet', packages(target)]] }),
  async coverage({ target, context }) {
    await prepareDirectory(context, BUILD)
    return {
      commands: [
        ['go', 'test', '-json', `-coverprofile=${PROFILE}`, packages(target)],
        ['go', 'tool', 'cover', `-func=${PROFILE}`],
      ],
      readable: goTextOfJson,
      percentOf: coveragePercent,
    }
  },
  async package(request) {
    const program = request.target === undefined ? await onlyProgram(request) : packages(request.target)
    await prepareDirectory(request.context, DIST)
    return {
      commands: [['go', 'build', '-trimpath', '-o', PROGRAM, program]],
      findArtifact: async () => PROGRAM,
    }
  },
}

/** A directory needs "./" before it, else go takes it for a package of the standard library. */
export function packages(target: string | undefined): string {
  if (target === undefined) return './...'
  return target.startsWith('.') || target.startsWith('/') || target.split('/')[0]?.includes('.') ? target : `./${target}`
}

/** @throws ToolError execution_failed, naming the programs when there are several */
async function onlyProgram({ context }: PlanRequest): Promise<string> {
  const format = '{{if eq .Name "main"}}{{.ImportPath}}{{end}}'
  const listed = await context.sandbox.run(['go', 'list', '-e', '-f', format, './...'], {
    quiet: true,
    ...(context.session.network === 'none' && { env: { GOPROXY: 'off' } }),
  })
  const programs = listed.stdout.split('\n').filter((line) => line !== '')
  if (programs.length === 1) return programs[0] as string
  if (programs.length === 0)
    throw new ToolError(
      'execution_failed',
      `no package main to build in this module. ${listed.stderr.trim().slice(0, 500)}`.trim(),
      {
        exitCode: listed.exit_code,
      },
    )
  throw new ToolError(
    'execution_failed',
    `${programs.length} programs: choose one by target: ${programs.slice(0, 20).join(', ')}`,
  )
}

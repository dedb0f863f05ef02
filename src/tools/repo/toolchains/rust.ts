import { z } from 'zod'
import { ToolError } from '../../../domain/errors.ts'
import type { CoveragePlan, PlanRequest, Toolchain } from './toolchain.ts'
import { succeeds } from './toolchain.ts'

/** For tests a target is a part of their names, else a package of the workspace. */
export const rustToolchain: Toolchain = {
  build_system: () => 'cargo',
  test_framework: () => 'cargo-test',
  test: ({ target, extra }) => ({
    commands: [['cargo', 'test', '--offline', '--no-fail-fast', ...extra, ...(target === undefined ? [] : [target])]],
  }),
  build: ({ target, extra }) => ({ commands: [['cargo', 'build', '--offline', ...extra, ...packageOption(target)]] }),
  validate: ({ target }) => ({ commands: [['cargo', 'check', '--offline', '--all-targets', ...packageOption(target)]] }),
  analyse: ({ target }) => ({ commands: [['cargo', 'clippy', '--offline', '--all-targets', ...packageOption(target)]] }),
  async coverage({ target, context }) {
    const plan = (...command: string[]): CoveragePlan => ({
      commands: [['cargo', ...command, ...packageOption(target)]],
      percentOf: rustCoverage,
    })
    if (await succeeds(context, ['cargo', 'llvm-cov', '--version'])) return plan('llvm-cov', '--offline')
    if (await succeeds(context, ['cargo', 'tarpaulin', '--version'])) return plan('tarpaulin', '--offline', '--skip-clean')
    return { unsupported: 'neither cargo-llvm-cov nor cargo-tarpaulin is installed' }
  },
  async package(request) {
    const made = await whatCargoMakes(request)
    if ('program' in made)
      return {
        commands: [['cargo', 'build', '--offline', '--release', '--package', made.package, '--bin', made.program]],
        findArtifact: async () => `${made.directory}/release/${made.program}`,
      }
    return {
      commands: [['cargo', 'package', '--offline', '--allow-dirty', '--no-verify', '--package', made.package]],
      findArtifact: async () => `${made.directory}/package/${made.package}-${made.version}.crate`,
    }
  },
}

function packageOption(target: string | undefined): string[] {
  return target === undefined ? [] : ['--package', target]
}

/** Lines covered, as cargo-llvm-cov (third percentage of its total) or cargo-tarpaulin say. Pure. */
export function rustCoverage(output: string): number | null {
  const total = output.split('\n').findLast((line) => line.startsWith('TOTAL '))
  const percentages = [...(total ?? '').slice(0, 1000).matchAll(/([\d.]+)%/g)].map((match) => Number(match[1]))
  if (percentages.length > 0) return percentages[2] ?? percentages.at(-1) ?? null
  const tarpaulin = output.split('\n').findLast((line) => /^[\d.]+% coverage, \d+\/\d+ lines covered/.test(line))
  return tarpaulin === undefined ? null : Number.parseFloat(tarpaulin)
}

const METADATA = z.object({
  target_directory: z.string(),
  workspace_root: z.string(),
  packages: z.array(
    z.object({
      name: z.string().regex(/^[\w-]+$/),
      version: z.string().regex(/^[\w.+-]+$/),
      targets: z.array(z.object({ name: z.string(), kind: z.array(z.string()) })),
    }),
  ),
})

type Made = { package: string; version: string; directory: string } & ({ program: string } | object)

/** @throws ToolError execution_failed when cargo cannot tell, or when there is a choice to make */
async function whatCargoMakes({ target, context }: PlanRequest): Promise<Made> {
  const result = await context.sandbox.run(['cargo', 'metadata', '--offline', '--no-deps', '--format-version=1'], { quiet: true })
  if (result.exit_code !== 0)
    throw new ToolError('execution_failed', `cargo metadata: ${result.stderr.trim().slice(0, 1000)}`, {
      exitCode: result.exit_code,
    })
  const { packages, target_directory, workspace_root } = parseMetadata(result.stdout)
  const named = packages.filter((each) => target === undefined || each.name === target)
  const [chosen] = named
  if (!chosen || named.length > 1)
    throw new ToolError(
      'execution_failed',
      `choose a package by target: ${packages
        .slice(0, 20)
        .map((each) => each.name)
        .join(', ')}`,
    )
  const made = {
    package: chosen.name,
    version: chosen.version,
    directory: target_directory.startsWith(`${workspace_root}/`)
      ? target_directory.slice(workspace_root.length + 1)
      : target_directory,
  }
  const programs = chosen.targets.filter((each) => each.kind.includes('bin')).map((each) => each.name)
  const program = programs.find((name) => name === chosen.name) ?? programs[0]
  return program === undefined ? made : { ...made, program }
}

function parseMetadata(text: string): z.output<typeof METADATA> {
  try {
    return METADATA.parse(JSON.parse(text))
  } catch (error) {
    throw new ToolError('execution_failed', 'what cargo metadata printed cannot be read', { cause: error })
  }
}

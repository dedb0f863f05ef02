import type { ToolContext } from '../../../catalog/define-tool.ts'
import type { Project } from '../detect-project.ts'

/** Commands in order, the last one being what was asked for; one that fails ends the run. */
export interface Plan {
  commands: string[][]
  /** Of the last command. */
  stdin?: string
  env?: Record<string, string>
  /** Turns what the commands printed into what a person would want to read. */
  readable?: (output: string) => string
  /** What the commands do not say themselves ("there is no lint script"). Put before their output. */
  note?: string
}

export interface CoveragePlan extends Plan {
  /** Per cent of lines or statements, from what the commands printed. Null: they did not say. */
  percentOf: (output: string) => number | null
}

/** Why there is no figure, and what would give one. */
export interface NoCoverage {
  unsupported: string
}

export interface PackagePlan extends Plan {
  /**
   * Looks for what was made, after the commands succeeded. Relative to the workspace.
   * @throws ToolError execution_failed when there is nothing
   */
  findArtifact: (output: string) => Promise<string>
}

/** What is to be planned for: the project and what the caller asked for. */
export interface PlanRequest {
  project: Project
  /** As the caller gave it; what it names depends on the toolchain and the command. */
  target: string | undefined
  /** Checked before. */
  extra: string[]
  context: ToolContext
}

/**
 * How one kind of project is tested, built, checked and packed. Planning may look into the sandbox, and throws
 * `ToolError execution_failed` with what is missing when there is no way.
 */
export interface Toolchain {
  build_system: (project: Project) => string
  test_framework: (project: Project) => string
  test: (request: PlanRequest) => Promise<Plan> | Plan
  build: (request: PlanRequest) => Promise<Plan> | Plan
  /** Compiles, tests too where the toolchain can, and keeps nothing. */
  validate: (request: PlanRequest) => Promise<Plan> | Plan
  analyse: (request: PlanRequest) => Promise<Plan> | Plan
  coverage: (request: PlanRequest) => Promise<CoveragePlan | NoCoverage> | CoveragePlan | NoCoverage
  package: (request: PlanRequest) => Promise<PackagePlan> | PackagePlan
}

/** What packages are put into. */
export const DIST = '.workspace-dist'

/** Builds go here, so that the project's own build directory stays as it is. */
export const BUILD = '.workspace-build'

/** Makes one of these directories, such that git shows nothing of it. */
export async function prepareDirectory({ sandbox }: ToolContext, directory: string): Promise<void> {
  await sandbox.write(`${directory}/.gitignore`, '*\n', { create_parents: true })
}

/** Whether a command succeeds in the sandbox; one that is not installed does not. */
export async function succeeds({ sandbox }: ToolContext, command: string[]): Promise<boolean> {
  // Through env, so that a missing program is an exit code (127) and not an error.
  const result = await sandbox.run(['env', ...command], { without_secrets: true, quiet: true, timeout_seconds: 30 })
  return result.exit_code === 0
}

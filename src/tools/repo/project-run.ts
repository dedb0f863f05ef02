import { z } from 'zod'
import type { ToolContext, ToolResult } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import type { ToolArtifact } from '../../domain/tool-artifact.ts'
import { diagnosticSchema, parseDiagnostics } from '../toolchain/parse-diagnostics.ts'
import { whatWentWrong } from '../toolchain/what-went-wrong.ts'
import { detectProject, type Project } from './detect-project.ts'
import { checkExtraArgs } from './extra-args.ts'
import { type Run, runPlan } from './run-plan.ts'
import { settleTarget } from './target-argument.ts'
import type { Plan, Toolchain } from './toolchains/toolchain.ts'
import { toolchainOf } from './toolchains/toolchain-of.ts'

/** What every tool reports that runs a command of the project's toolchain. */
export const runOutputs = {
  project_type: z.string(),
  command: z.array(z.string()).describe('The last command that was run.'),
  exit_code: z.int(),
  output: z.string().describe('What the commands printed, without colours.'),
}

export const diagnosticsOutput = {
  diagnostics: z.array(diagnosticSchema).describe('Errors and warnings that were found in the output. At most 200.'),
}

export interface ProjectRun<P extends Plan> {
  project: Project
  toolchain: Toolchain
  plan: P
  run: Run
  artifacts: ToolArtifact[]
}

export interface ProjectCommand<P extends Plan> {
  target: string | undefined
  extra_args?: string[]
  /** For the artifact `<name>-output.txt`. */
  name: string
  plan: (toolchain: Toolchain, request: Parameters<Toolchain['build']>[0]) => Promise<P> | P
  /** Of a run that was cut off. */
  report: (project: Project, toolchain: Toolchain, run: Run) => Record<string, unknown>
}

/**
 * Finds out what project it is, plans, and runs. Resolves whatever the exit code.
 * @throws ToolError execution_failed when there is no way; CloisterError policy_denied for arguments the toolchain does not take
 */
export async function runForProject<P extends Plan>(command: ProjectCommand<P>, context: ToolContext): Promise<ProjectRun<P>> {
  const { target, extra_args = [], name } = command
  const project = await detectProject(context.sandbox)
  checkExtraArgs(project.type, extra_args, 'build')
  const toolchain = toolchainOf(project)
  await settleTarget(target, context.sandbox)
  const plan = await command.plan(toolchain, { project, target, extra: extra_args, context })
  const { run, artifacts } = await runPlan(plan, context, `${name}-output.txt`, (cut) => command.report(project, toolchain, cut))
  return { project, toolchain, plan, run, artifacts }
}

export function runReport(project: Project, run: Run) {
  return { project_type: project.type, command: run.command, exit_code: run.exit_code, output: run.output }
}

/** A run that answered, or the error of one that did not end with 0, with the same output. @throws ToolError execution_failed */
export function settle<Output extends Record<string, unknown>>(
  what: string,
  { run, artifacts }: Pick<ProjectRun<Plan>, 'run' | 'artifacts'>,
  output: Output,
): ToolResult<Output> {
  if (run.exit_code === 0) return { output, exit_code: 0, artifacts }
  throw new ToolError('execution_failed', failure(what, run), { output, exitCode: run.exit_code, artifacts })
}

function failure(what: string, run: Run): string {
  const said = whatWentWrong(run, parseDiagnostics(run.output))
  return `${what}: ${run.command.join(' ')} ended with exit code ${run.exit_code}. ${said}`
}

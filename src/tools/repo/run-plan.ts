import type { CommandResult, ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import type { ToolArtifact } from '../../domain/tool-artifact.ts'
import { stripAnsi } from './test-output/test-summary.ts'
import type { Plan } from './toolchains/toolchain.ts'

/** So that programs neither colour, nor ask, nor look for updates. */
const ENVIRONMENT = {
  CI: '1',
  NO_COLOR: '1',
  TERM: 'dumb',
  CARGO_TERM_COLOR: 'never',
  PYTHONDONTWRITEBYTECODE: '1',
  PIP_NO_INPUT: '1',
  PIP_DISABLE_PIP_VERSION_CHECK: '1',
  GOTOOLCHAIN: 'local',
  npm_config_update_notifier: 'false',
  npm_config_fund: 'false',
  npm_config_audit: 'false',
}

/** Where nothing can be reached, a toolchain says at once what is missing, instead of trying for minutes. */
const OFFLINE = { GOPROXY: 'off', CARGO_NET_OFFLINE: 'true', PIP_NO_INDEX: '1', npm_config_offline: 'true' }

/** What came of a plan. */
export interface Run {
  /** The last command that was run. */
  command: string[]
  exit_code: number
  /** What all commands printed, without colours: standard output, then standard error. */
  raw: string
  /** The same as a person would want to read it. */
  output: string
  /** Every command was run, so that the last one is what was asked for. */
  complete: boolean
}

/**
 * Runs a plan's commands until one fails. A command that is cut off (deadline, limit, signal) throws its `ToolError` with what
 * `report` makes of the output that came before, and with the artifact: it is worth as much as the output of a run that ended.
 */
export async function runPlan(
  plan: Plan,
  context: ToolContext,
  artifactName: string,
  report: (run: Run) => Record<string, unknown>,
  timeoutSeconds?: number,
): Promise<{ run: Run; artifacts: ToolArtifact[] }> {
  const env = { ...ENVIRONMENT, ...(context.session.network === 'none' && OFFLINE), ...plan.env }
  const until = timeoutSeconds === undefined ? null : Date.now() + timeoutSeconds * 1000
  let raw = plan.note === undefined ? '' : `${plan.note}\n`
  let run: Run | null = null
  const runOf = (command: string[], exit_code: number, complete: boolean): Run => ({
    command,
    exit_code,
    raw,
    output: plan.readable ? plan.readable(raw) : raw,
    complete,
  })
  for (const [index, command] of plan.commands.entries()) {
    context.log(`$ ${command.join(' ')}`)
    const last = index === plan.commands.length - 1
    let result: CommandResult
    try {
      result = await context.sandbox.run(command, {
        env,
        ...(last && plan.stdin !== undefined && { stdin: plan.stdin }),
        ...(until !== null && { timeout_seconds: Math.max(0.001, (until - Date.now()) / 1000) }),
      })
    } catch (error) {
      if (!(error instanceof ToolError) || error.output === undefined) throw error
      const { stdout, stderr } = error.output as { stdout?: string; stderr?: string }
      raw += commandText({ stdout: stdout ?? '', stderr: stderr ?? '' })
      const cut = runOf(command, error.exitCode ?? -1, true)
      throw new ToolError(error.code, error.message, {
        output: report(cut),
        exitCode: error.exitCode,
        artifacts: [textArtifact(artifactName, cut.output)],
        sandboxFault: error.sandboxFault,
        cause: error,
      })
    }
    raw += commandText(result)
    run = runOf(command, result.exit_code, last)
    if (result.exit_code !== 0) break
  }
  if (!run) throw new Error('a plan without a command')
  return { run, artifacts: [textArtifact(artifactName, run.output)] }
}

export function textArtifact(name: string, content: string): ToolArtifact {
  return { name, content_type: 'text/plain; charset=utf-8', content }
}

/** Standard output, then standard error, without colours, each ended by a newline. */
function commandText({ stdout, stderr }: { stdout: string; stderr: string }): string {
  const parts = [stdout, stderr].map(stripAnsi).filter((text) => text !== '')
  return parts.map((text) => (text.endsWith('\n') ? text : `${text}\n`)).join('')
}

/** The last line that says anything, for a message. */
export function lastLine(output: string): string {
  return output.slice(-4000).trim().split('\n').at(-1)?.slice(0, 300) ?? ''
}

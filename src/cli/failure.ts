import { ApiError, ConnectionError } from '../client/cloister-client.ts'
import { CliError } from './cli-error.ts'
import { readEnvironment } from './environment.ts'
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.ts'

/** What is told of an error: as JSON on stderr with `--json`, else by `failureText`. */
export interface Failure {
  code: string
  message: string
  hint?: string
  request_id?: string
  details?: Record<string, unknown>
  /** The record that a refused call left. */
  invocation_id?: string
  exitCode: ExitCode
}

const HINTS: Record<string, string> = {
  approval_required: 'approve it yourself with --approved, or ask for it with --request-approval',
  session_closed: 'bring it back: cloister session restore <session>',
  sandbox_unavailable: 'see what is missing: cloister doctor',
}

/** Everything that a command can throw, as something to show. */
export function toFailure(error: unknown): Failure {
  if (error instanceof ApiError) {
    const hint = error.code === 'unauthorized' ? unauthorizedHint() : HINTS[error.code]
    return {
      code: error.code,
      message: error.message,
      ...(hint === undefined ? {} : { hint }),
      ...(error.requestId ? { request_id: error.requestId } : {}),
      ...(Object.keys(error.details).length > 0 ? { details: error.details } : {}),
      ...(error.invocation ? { invocation_id: error.invocation.id } : {}),
      exitCode: exitCodeOf(error.code),
    }
  }
  if (error instanceof CliError)
    return {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      exitCode: error.exitCode,
    }
  if (error instanceof ConnectionError)
    return {
      code: 'unreachable',
      message: error.message,
      hint: 'is a server running there? cloister serve starts one; --url or CLOISTER_URL names another',
      exitCode: EXIT.unavailable,
    }
  return { code: 'failed', message: error instanceof Error ? error.message : String(error), exitCode: EXIT.failed }
}

/** A login does not help where another token goes before it. */
function unauthorizedHint(): string {
  return readEnvironment().token === undefined
    ? 'log in: cloister login'
    : 'CLOISTER_TOKEN is set, and is not valid here (any more): set another, or unset it and log in: cloister login'
}

export function failureText(failure: Failure): string {
  const all = Array.isArray(failure.details?.['issues'])
    ? (failure.details['issues'] as { path?: unknown; reason?: unknown }[]).map(({ path, reason }) => `${path}: ${reason}`)
    : []
  const issues = all.filter((issue) => !failure.message.includes(issue))
  return [
    `error: ${failure.message} (${failure.code})`,
    ...issues.map((issue) => `  ${issue}`),
    ...(typeof failure.details?.['rule'] === 'string' ? [`  rule: ${failure.details['rule']}`] : []),
    ...(failure.hint === undefined ? [] : [`  hint: ${failure.hint}`]),
    ...(failure.invocation_id === undefined ? [] : [`  record: ${failure.invocation_id}`]),
    ...(failure.request_id === undefined ? [] : [`  request: ${failure.request_id}`]),
  ].join('\n')
}

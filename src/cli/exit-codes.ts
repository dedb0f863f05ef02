/** What the exit code of a command says. Printed by `cloister --help`. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  denied: 3,
  notFound: 4,
  conflict: 5,
  unauthorized: 6,
  unavailable: 7,
} as const

/** Left by Ctrl-C, as shells say it: 128 and the number of the signal. */
export const INTERRUPTED = 130

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_HELP = `Exit codes:
  0  it worked
  1  it ran and failed: a tool that failed, a turn that failed, an internal error
  2  the command was wrong: unknown option, missing or invalid argument
  3  refused: by policy, for want of permission, or for want of an approval
  4  no such thing, or it is not yours
  5  not in this state: taken, or the session is closed
  6  no valid credential: run cloister login
  7  not reachable: the server, a sandbox or the store is away, or a quota is used up
  130  left by Ctrl-C`

const BY_CODE: Record<string, ExitCode> = {
  invalid_argument: EXIT.usage,
  method_not_allowed: EXIT.usage,
  payload_too_large: EXIT.usage,
  range_not_satisfiable: EXIT.usage,
  unauthorized: EXIT.unauthorized,
  permission_denied: EXIT.denied,
  policy_denied: EXIT.denied,
  approval_required: EXIT.denied,
  not_found: EXIT.notFound,
  conflict: EXIT.conflict,
  session_closed: EXIT.conflict,
  rate_limited: EXIT.unavailable,
  sandbox_unavailable: EXIT.unavailable,
  store_unavailable: EXIT.unavailable,
}

/** The exit code for an error code of the API. What is not known to be something else is a failure. */
export function exitCodeOf(code: string): ExitCode {
  return BY_CODE[code] ?? EXIT.failed
}

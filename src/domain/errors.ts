import type { ToolArtifact } from './tool-artifact.ts'

/** Codes of refusals and failures of a request, and the HTTP status of each (docs/architecture.md, "Errors"). */
export const HTTP_STATUS = {
  invalid_argument: 400,
  unauthorized: 401,
  permission_denied: 403,
  policy_denied: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  session_closed: 409,
  payload_too_large: 413,
  range_not_satisfiable: 416,
  approval_required: 428,
  rate_limited: 429,
  internal: 500,
  sandbox_unavailable: 503,
  store_unavailable: 503,
} as const

export type ApiErrorCode = keyof typeof HTTP_STATUS

/** What a tool may make of what it was asked to do: each declares those that it gives (`ToolMetadata.errors`). */
export const OWN_TOOL_ERRORS = ['invalid_argument', 'not_found', 'execution_failed', 'git_repo_error', 'tests_failed'] as const

/**
 * What a call of any tool may end with whatever was asked, so that none declares it. `git_usage_error`: the sandbox's git is older than
 * an option that the tool gives it.
 */
export const COMMON_TOOL_ERRORS = [
  'git_usage_error',
  'timeout',
  'output_too_large',
  'cancelled',
  'unknown_outcome',
  'sandbox_lost',
] as const

export type OwnToolError = (typeof OWN_TOOL_ERRORS)[number]

/** Codes in `invocation.error` of a tool that ran. */
export type ToolErrorCode = OwnToolError | (typeof COMMON_TOOL_ERRORS)[number]

export interface Issue {
  path: string
  reason: string
}

export interface ErrorOptions {
  details?: Record<string, unknown>
  cause?: unknown
}

/**
 * The one class of errors that a caller is meant to see: a stable code, and a message that says what happened and what would
 * make it work. Anything else that is thrown is rendered as `internal`.
 */
export class CloisterError extends Error {
  readonly code: ApiErrorCode
  readonly details: Record<string, unknown>

  constructor(code: ApiErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'CloisterError'
    this.code = code
    this.details = options.details ?? {}
  }

  get status(): number {
    return HTTP_STATUS[this.code]
  }
}

export const errors = {
  invalidArgument: (message: string, issues: Issue[] = []) =>
    new CloisterError('invalid_argument', message, { details: issues.length > 0 ? { issues } : {} }),
  unauthorized: (message = 'a valid credential is needed: log in, or send an API token as "Authorization: Bearer ..."') =>
    new CloisterError('unauthorized', message),
  permissionDenied: (permission: string, message = `your role does not hold ${permission}`) =>
    new CloisterError('permission_denied', message, { details: { permission } }),
  policyDenied: (rule: string, reason: string, details: Record<string, unknown> = {}) =>
    new CloisterError('policy_denied', reason, { details: { rule, reason, ...details } }),
  notFound: (what: string) => new CloisterError('not_found', `no such ${what}, or it is not yours`),
  conflict: (message: string, details: Record<string, unknown> = {}) => new CloisterError('conflict', message, { details }),
  sessionClosed: (state: string) =>
    new CloisterError('session_closed', `the session is ${state}: restore it first`, { details: { state } }),
  payloadTooLarge: (message: string) => new CloisterError('payload_too_large', message),
  /** @param size bytes of the whole, sent as `Content-Range` */
  rangeNotSatisfiable: (size: number) =>
    new CloisterError('range_not_satisfiable', `there are ${size} bytes: the range must start within them`, {
      details: { size_bytes: size },
    }),
  approvalRequired: (message: string, details: Record<string, unknown> = {}) =>
    new CloisterError('approval_required', message, { details }),
  /** @param retryAfterSeconds whole seconds, sent as `Retry-After` */
  rateLimited: (message: string, retryAfterSeconds: number) =>
    new CloisterError('rate_limited', message, { details: { retry_after_seconds: retryAfterSeconds } }),
  sandboxUnavailable: (reason: string, cause?: unknown) =>
    new CloisterError('sandbox_unavailable', `no sandbox could be started: ${reason}`, { details: { reason }, cause }),
  storeUnavailable: (message: string, cause?: unknown) => new CloisterError('store_unavailable', message, { cause }),
  internal: (message: string, cause?: unknown) => new CloisterError('internal', message, { cause }),
}

/** What a tool's handler throws when the tool ran and did not succeed. `output` and `artifacts` are kept on the record if given. */
export class ToolError extends Error {
  readonly code: ToolErrorCode
  readonly output: Record<string, unknown> | undefined
  readonly exitCode: number | undefined
  readonly artifacts: ToolArtifact[]
  readonly sandboxFault: boolean

  constructor(
    code: ToolErrorCode,
    message: string,
    options: {
      output?: Record<string, unknown>
      exitCode?: number | undefined
      artifacts?: ToolArtifact[]
      /** The sandbox did not do its part (a program that does not start, or is killed): any tool may end so, declared or not. */
      sandboxFault?: boolean
      cause?: unknown
    } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'ToolError'
    this.code = code
    this.output = options.output
    this.exitCode = options.exitCode
    this.artifacts = options.artifacts ?? []
    this.sandboxFault = options.sandboxFault ?? false
  }
}

import type { Issue } from '../domain/errors.ts'
import type { Invocation } from '../domain/invocation.ts'

/** The server refused or failed. `code` is stable; `unexpected_response` when what answered is not a Cloister server. */
export class ApiError extends Error {
  readonly code: string
  readonly status: number
  readonly details: Record<string, unknown>
  readonly requestId: string | null
  /** The record that a refused invocation left. */
  readonly invocation: Invocation | null
  /** Seconds, when the server said when to come back. */
  readonly retryAfter: number | null

  constructor(fields: {
    code: string
    message: string
    status: number
    details?: Record<string, unknown>
    requestId?: string | null
    invocation?: Invocation | null
    retryAfter?: number | null
  }) {
    super(fields.message)
    this.name = 'ApiError'
    this.code = fields.code
    this.status = fields.status
    this.details = fields.details ?? {}
    this.requestId = fields.requestId ?? null
    this.invocation = fields.invocation ?? null
    this.retryAfter = fields.retryAfter ?? null
  }

  /** What is wrong with which field, with `invalid_argument`. */
  get issues(): Issue[] {
    const { issues } = this.details
    return Array.isArray(issues) ? (issues as Issue[]) : []
  }
}

/** No answer, or one that was cut off. `sent`: the request may have reached the server. */
export class ConnectionError extends Error {
  readonly sent: boolean

  constructor(url: string, cause: unknown) {
    const reason = reasonOf(cause)
    super(`no answer from ${url}${reason ? `: ${reason}` : ''}`, { cause })
    this.name = 'ConnectionError'
    this.sent = !NEVER_SENT.has(reason)
  }
}

const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/** fetch hides the reason in its error's causes. */
function reasonOf(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (typeof code === 'string') return code
    if (cause instanceof AggregateError && cause.errors[0] instanceof Error) return reasonOf(cause.errors[0])
  }
  return ''
}

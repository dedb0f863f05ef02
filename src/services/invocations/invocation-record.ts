import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import { argsDigest } from '../../domain/canonical-json.ts'
import { CloisterError, errors, HTTP_STATUS, type Issue, ToolError } from '../../domain/errors.ts'
import {
  CORRELATION_ID,
  CORRELATION_ID_RULE,
  type Invocation,
  type InvocationError,
  type InvocationStatus,
  turnOfCorrelationId,
} from '../../domain/invocation.ts'
import type { Actor } from '../../domain/principal.ts'
import type { Redactor } from '../../domain/redaction.ts'
import type { ToolMetadata } from '../../domain/tool.ts'

/** Characters of a failure's message: it may repeat what a program or a stranger's server said. */
const LONGEST_MESSAGE = 5000
/** JSON deeper than this is refused: nobody means it, and it costs stack wherever it is walked. */
const DEEPEST = 64
/** Characters of a text argument that an event repeats; the record has it whole. */
const PREVIEW = 500
/** Characters of all of them, as JSON. */
const LONGEST_PREVIEW = 32 * 1024

/** What a caller sent as args, looked at before anything is written. */
export interface Intake {
  /** Parsed by the tool's schema; null when there are issues. */
  args: Record<string, unknown> | null
  /** As sent, without what must not be stored. */
  stored: Record<string, unknown>
  /** Redacted. */
  shown: Record<string, unknown>
  digest: string
  issues: Issue[]
}

/** @throws invalid_argument for one that cannot be, or that only the calls of a turn go by */
export function checkCorrelationId({ correlation_id: id, turn_id }: { correlation_id?: string; turn_id?: string }): void {
  if (id === undefined) return
  const refuse = (reason: string) => errors.invalidArgument(`correlation_id ${reason}`, [{ path: 'correlation_id', reason }])
  if (!CORRELATION_ID.test(id)) throw refuse(`has to be ${CORRELATION_ID_RULE}`)
  const turn = turnOfCorrelationId(id)
  if (turn !== null && turn !== turn_id) throw refuse('is of the form that is kept for the calls of turns: use another')
}

/** Pure. Args that hold a secret's value or placeholder are an issue, and `stored` does not hold them. */
export function examineArgs(sessionId: string, toolName: string, input: z.ZodType, given: unknown, redactor: Redactor): Intake {
  const refused = (shown: Record<string, unknown>, issues: Issue[]): Intake => ({
    args: null,
    stored: shown,
    shown,
    digest: argsDigest(sessionId, toolName, shown),
    issues,
  })
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    return refused({}, [{ path: 'args', reason: 'must be an object' }])
  if (isDeep(given)) return refused({}, [{ path: 'args', reason: `must not be nested deeper than ${DEEPEST} levels` }])
  const names = redactor.find(given)
  const shown = redactor.value(given) as Record<string, unknown>
  if (names.length > 0)
    return refused(
      shown,
      names.map((name) => ({
        path: 'args',
        reason: `hold the value or the placeholder of the secret ${name}: use the environment variable ${name} in a command, and write neither into a file`,
      })),
    )
  const sent = given as Record<string, unknown>
  const parsed = input.safeParse(given)
  const issues = parsed.success ? [] : issuesOf(parsed.error)
  return {
    args: parsed.success ? (parsed.data as Record<string, unknown>) : null,
    stored: sent,
    shown,
    digest: argsDigest(sessionId, toolName, sent),
    issues,
  }
}

export function issuesOf(error: z.ZodError): Issue[] {
  return error.issues
    .slice(0, 20)
    .map((issue) => ({ path: ['args', ...issue.path.map(String)].join('.'), reason: issue.message }))
}

function isDeep(value: object): boolean {
  const stack: { value: object; depth: number }[] = [{ value, depth: 1 }]
  for (let top = stack.pop(); top; top = stack.pop()) {
    if (top.depth > DEEPEST) return true
    for (const member of Object.values(top.value))
      if (typeof member === 'object' && member !== null) stack.push({ value: member, depth: top.depth + 1 })
  }
  return false
}

export interface NewRecord {
  id: string
  session_id: string
  turn_id: string | null
  tool_name: string
  observability: ToolMetadata['observability']
  args: Record<string, unknown>
  args_digest: string
  actor: Actor
  correlation_id: string | null
  trace_id: string | null
  at: string
}

/** A record as it stands when the call was accepted: running, nothing decided yet. */
export function newRecord(fields: NewRecord): Invocation {
  return {
    id: fields.id,
    session_id: fields.session_id,
    turn_id: fields.turn_id,
    tool_name: fields.tool_name,
    args: fields.args,
    args_digest: fields.args_digest,
    actor: fields.actor,
    correlation_id: fields.correlation_id,
    status: 'running',
    approval: null,
    decision: null,
    started_at: fields.at,
    completed_at: null,
    duration_ms: null,
    exit_code: null,
    trace_name: fields.observability.trace_name,
    span_name: fields.observability.span_name,
    trace_id: fields.trace_id ?? randomBytes(16).toString('hex'),
    output: null,
    output_ref: null,
    logs_ref: null,
    artifacts: [],
    truncated: false,
    error: null,
  }
}

export function isOpen(record: Invocation): boolean {
  return record.status === 'running' || record.status === 'pending_approval'
}

/** Codes of refusals after which the same call, with the same correlation id, is evaluated anew: it had no effect. */
const TRY_AGAIN = new Set(['approval_required', 'rate_limited', 'sandbox_unavailable'])

export function mayTryAgain(record: Invocation): boolean {
  return !isOpen(record) && record.error !== null && TRY_AGAIN.has(record.error.code)
}

/** The refusal that a finished record tells of; null when the tool ran. */
export function refusalOf(record: Invocation): CloisterError | null {
  if (isOpen(record) || record.status === 'succeeded' || record.error === null) return null
  const { code, message, details } = record.error
  // A tool's own `invalid_argument` comes from a call that was decided about; the schema's refusal comes before.
  const ran = record.status === 'failed' && record.decision !== null && (code === 'invalid_argument' || code === 'not_found')
  if (ran || !(code in HTTP_STATUS)) return null
  return new CloisterError(code as keyof typeof HTTP_STATUS, message, details ? { details } : {})
}

/** What a failure makes of a record: status, error, exit code. Messages are redacted. */
export interface Failure {
  status: Extract<InvocationStatus, 'failed' | 'denied'>
  error: InvocationError
  exit_code: number | null
  /** To be thrown to the caller; null: the tool ran, the record is the answer. */
  thrown: CloisterError | null
}

const DENIED = new Set(['policy_denied', 'approval_required', 'rate_limited'])

/** @param guaranteed the tool may be called again without doing anything twice */
export function failureOf(error: unknown, redactor: Redactor, guaranteed: boolean): Failure {
  if (error instanceof ToolError) {
    const retryable = guaranteed && (error.code === 'sandbox_lost' || error.code === 'timeout')
    return {
      status: 'failed',
      error: { code: error.code, message: shownMessage(error, redactor), retryable },
      exit_code: error.exitCode ?? (error.code === 'timeout' ? 124 : null),
      thrown: null,
    }
  }
  const refusal =
    error instanceof CloisterError
      ? new CloisterError(error.code, shownMessage(error, redactor), { details: redactor.value(error.details), cause: error })
      : errors.internal('the call failed for a reason of ours, which is in the server log', error)
  const { code, message, details } = refusal
  return {
    status: DENIED.has(code) ? 'denied' : 'failed',
    error: {
      code,
      message,
      retryable: code === 'rate_limited' || code === 'approval_required' || code.endsWith('_unavailable'),
      ...(Object.keys(details).length > 0 && { details }),
    },
    exit_code: null,
    thrown: refusal,
  }
}

/** Redacted, then cut: a piece of a value would not be found. */
function shownMessage({ message }: Error, redactor: Redactor): string {
  const shown = redactor.text(message)
  return shown.length > LONGEST_MESSAGE ? `${shown.slice(0, LONGEST_MESSAGE).toWellFormed()}...` : shown
}

/** Args as an event repeats them: long texts shortened, and not more than `LONGEST_PREVIEW` of all. */
export function previewArgs(args: Record<string, unknown>): Record<string, unknown> {
  const preview = (value: unknown): unknown => {
    if (typeof value === 'string')
      return value.length > PREVIEW ? `${value.slice(0, PREVIEW).toWellFormed()}... (${value.length} characters)` : value
    if (Array.isArray(value))
      return value.length > 50 ? [...value.slice(0, 50).map(preview), `... (${value.length} items)`] : value.map(preview)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, preview(member)]))
  }
  const shown = preview(args) as Record<string, unknown>
  const { length } = JSON.stringify(shown)
  return length > LONGEST_PREVIEW ? { '...': `args of ${JSON.stringify(args).length} characters` } : shown
}

import type { Approvers } from './approvers.ts'
import { type ApiErrorCode, CloisterError, type ToolErrorCode } from './errors.ts'
import type { Actor } from './principal.ts'

export const INVOCATION_STATUSES = ['pending_approval', 'running', 'succeeded', 'failed', 'denied'] as const
export type InvocationStatus = (typeof INVOCATION_STATUSES)[number]

/** What a caller may name a call by, so that it is made once. */
export const CORRELATION_ID = /^[A-Za-z0-9._:-]{1,128}$/
export const CORRELATION_ID_RULE = 'letters, digits and . _ : -, at most 128'

/** What the gate knows a turn's call by: the same after a restart, so that a call is made at most once. */
export function correlationIdOfCall(turnId: string, step: number, index: number): string {
  return `${turnId}:${step}:${index}`
}

/**
 * The turn whose calls alone go by this correlation id (`trn_...:step:index`); null: any call may. Who took such an id first would give
 * the agent their own result.
 */
export function turnOfCorrelationId(id: string): string | null {
  return /^(trn_[^:]+):\d+:\d+$/.exec(id)?.[1] ?? null
}

/** A file that an invocation left behind. The bytes lie in the artifact store under `sha256`. */
export interface Artifact {
  id: string
  name: string
  content_type: string
  size_bytes: number
  sha256: string
  created_at: string
}

/** Where consent came from. `standing`: the session's auto_approve. `given`: `approved: true` in the request. `requested`: a decided approval. */
export interface ApprovalUse {
  kind: 'given' | 'standing' | 'requested'
  /** Null: it was requested, and nobody has said yes. */
  by: string | null
  approval_id: string | null
}

export interface InvocationError {
  code: ToolErrorCode | ApiErrorCode
  message: string
  retryable: boolean
  details?: Record<string, unknown>
}

/** What policy said. Records of an older server have `rule`, `reason` and `policy_version` alone. */
export interface RecordedDecision {
  rule: string
  reason: string
  /** Digest of the rules and policies that it was made under. */
  policy_version: string
  effect?: 'allow' | 'deny' | 'require_approval' | 'standing_approval'
  /** Ids of the administrator's policies that determined it. */
  policies?: string[]
  /** Who may approve, where approval is needed. */
  approvers?: Approvers
}

/** One recorded call of one tool. Args and output are redacted before they get here. */
export interface Invocation {
  id: string
  session_id: string
  turn_id: string | null
  tool_name: string
  args: Record<string, unknown>
  /** Over the args as given, before redaction. */
  args_digest: string
  actor: Actor
  correlation_id: string | null
  status: InvocationStatus
  approval: ApprovalUse | null
  decision: RecordedDecision | null
  started_at: string
  completed_at: string | null
  duration_ms: number | null
  exit_code: number | null
  trace_name: string
  span_name: string
  trace_id: string
  output: Record<string, unknown> | null
  /** Artifact ids of the whole output and of the log, when kept apart. */
  output_ref: string | null
  logs_ref: string | null
  artifacts: Artifact[]
  truncated: boolean
  error: InvocationError | null
}

/** One line of an invocation's log. `channel`: stdout, stderr, or `cloister` for what the gate itself says. */
export interface LogLine {
  at: string
  channel: 'stdout' | 'stderr' | 'cloister'
  message: string
}

/** A refusal that left a record: sent as `{error, invocation}`. */
export class InvocationRefused extends CloisterError {
  readonly invocation: Invocation

  constructor(cause: CloisterError, invocation: Invocation) {
    super(cause.code, cause.message, { details: cause.details, cause })
    this.name = 'InvocationRefused'
    this.invocation = invocation
  }
}

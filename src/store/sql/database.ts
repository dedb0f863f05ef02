import type { ApprovalStatus } from '../../domain/approval.ts'
import type { EventType } from '../../domain/event.ts'
import type { InvocationStatus, LogLine } from '../../domain/invocation.ts'
import type { Message } from '../../domain/message.ts'
import type { IsolationLevel, SessionState } from '../../domain/session.ts'
import type { ToolOutcome } from '../../domain/tool-statistics.ts'

/**
 * The tables, as they are after the last migration. What SQLite and PostgreSQL both have, and no more: text, integers, booleans as
 * 0 and 1, JSON as text (`...Json`, read by json-column.ts), times as RFC 3339 UTC text, which sorts as it should.
 */
export interface Database {
  sessions: SessionsTable
  events: EventsTable
  messages: MessagesTable
  open_turns: OpenTurnsTable
  open_invocations: OpenInvocationsTable
  correlations: CorrelationsTable
  invocations: InvocationsTable
  invocation_logs: InvocationLogsTable
  approvals: ApprovalsTable
  artifacts: ArtifactsTable
  connector_reviews: ConnectorReviewsTable
  connector_flags: ConnectorFlagsTable
  tool_outcomes: ToolOutcomesTable
  users: UsersTable
  role_bindings: RoleBindingsTable
  api_tokens: ApiTokensTable
}

/** JSON text. */
type Json = string
/** 0 or 1. */
type Flag = number

export interface SessionsTable {
  id: string
  name: string
  state: SessionState
  state_reason: string | null
  owner_tenant_id: string
  owner_actor_id: string
  principal: Json
  allowed_paths: Json
  metadata: Json
  model: string | null
  source_repo_path: string | null
  repo_url: string | null
  repo_ref: string | null
  repo_auth_secret: string | null
  has_setup: Flag
  has_instructions: Flag
  provisioned: Flag
  tools: Json
  auto_approve: Json
  network: 'none' | 'host'
  isolation_floor: IsolationLevel
  limits: Json
  sandbox: Json | null
  sandbox_uid: number | null
  last_generation: number
  secret_names: Json
  parent_session_id: string | null
  budgets: Json
  usage_input_tokens: number
  usage_output_tokens: number
  usage_turns: number
  usage_invocations: number
  usage_steps: number
  usage_cost_usd: number
  usage_seconds: number
  idle_timeout_seconds: number
  created_at: string
  last_activity_at: string
  expires_at: string | null
  closed_at: string | null
  /** Last seq and hash of the session's log: what a cut tail is noticed by. */
  event_seq: number
  event_hash: string
  /** Last seq of the conversation. */
  message_seq: number
}

export interface EventsTable {
  session_id: string
  seq: number
  type: EventType
  at: string
  actor: Json
  data: Json
  prev_hash: string
  hash: string
}

export interface MessagesTable {
  id: string
  session_id: string
  seq: number
  role: Message['role']
  content: string
  /** Null on a user's message: no turn has taken it yet. */
  turn_id: string | null
  usage: Json | null
  created_at: string
}

export interface OpenTurnsTable {
  id: string
  session_id: string
  started_at: string
  steps: number
  interrupted: Flag
  transcript: Json
  spent: Json
}

export interface OpenInvocationsTable {
  id: string
  session_id: string
  started_at: string
  record: Json
  call: Json
}

/** What a correlation id named, also after the invocation is over. */
export interface CorrelationsTable {
  session_id: string
  correlation_id: string
  invocation_id: string
  args_digest: string
}

/** Finished records, when the backend is `sql`. */
export interface InvocationsTable {
  id: string
  session_id: string
  tool_name: string
  status: InvocationStatus
  started_at: string
  record: Json
}

export interface InvocationLogsTable {
  invocation_id: string
  seq: number
  session_id: string
  at: string
  channel: LogLine['channel']
  message: string
}

export interface ApprovalsTable {
  id: string
  session_id: string
  invocation_id: string
  tool_name: string
  args: Json
  args_digest: string
  policy_version: string
  state_digest: string | null
  requested_by: string
  approvers: Json
  status: ApprovalStatus
  decided_by: string | null
  reason: string | null
  created_at: string
  expires_at: string
  decided_at: string | null
}

export interface ArtifactsTable {
  id: string
  invocation_id: string
  session_id: string
  name: string
  content_type: string
  size_bytes: number
  sha256: string
  created_at: string
}

/** How many calls of a tool ended how and how fast, by tenant and day of UTC. */
export interface ToolOutcomesTable {
  tenant_id: string
  tool_name: string
  day: string
  outcome: ToolOutcome
  duration_bucket: number
  count: number
}

export interface UsersTable {
  tenant_id: string
  name: string
  password_hash: string
  tool_roles: Json
  active: Flag
  created_at: string
  last_login_at: string | null
  tokens_valid_after: string | null
}

export interface RoleBindingsTable {
  /** `tenant_id/actor_id`. */
  principal: string
  role_name: string
  created_at: string
}

export interface ConnectorReviewsTable {
  id: string
  connector: string
  source_digest: string
  digest: string
  tools: Json
  reviewed_by: string
  reviewed_at: string
}

export interface ConnectorFlagsTable {
  connector: string
  digest: string
  differences: Json
  session_id: string | null
  flagged_at: string
}

export interface ApiTokensTable {
  id: string
  name: string
  prefix: string
  /** SHA-256 of the value, which is not kept. */
  hash: string
  tenant_id: string
  actor_id: string
  /** Set on an agent credential: the one session that it is for. */
  session_id: string | null
  created_at: string
  expires_at: string | null
  last_used_at: string | null
}

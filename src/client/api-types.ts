import type { Approval, ApprovalStatus } from '../domain/approval.ts'
import type { ConnectorList, ConnectorReview, ConnectorSummary, ConnectorTool, ToolDifference } from '../domain/connector.ts'
import type { ChainVerdict, Delta, Event } from '../domain/event.ts'
import type { Artifact, Invocation, InvocationStatus, LogLine } from '../domain/invocation.ts'
import type { Message } from '../domain/message.ts'
import type { Permission, Principal } from '../domain/principal.ts'
import type { Isolation, IsolationLevel, Limits, SessionState } from '../domain/session.ts'
import type { ToolMetadata } from '../domain/tool.ts'
import type { ToolStatistics } from '../domain/tool-statistics.ts'

export type {
  Approval,
  ApprovalStatus,
  Artifact,
  ChainVerdict,
  ConnectorList,
  ConnectorSummary,
  ConnectorTool,
  Delta,
  Event,
  Invocation,
  InvocationStatus,
  LogLine,
  Message,
  SessionState,
  ToolDifference,
}

/** A connector, and what was reviewed of it (null: nothing was). */
export interface ConnectorDetail {
  connector: ConnectorSummary
  list: ConnectorList | null
  differences: ToolDifference[]
  reviews: Omit<ConnectorReview, 'tools'>[]
}

/** What a connector's server lists now. */
export interface ConnectorLook {
  connector: ConnectorSummary
  list: ConnectorList
  differences: ToolDifference[]
  accepted: boolean
}

/** What an agent may use; null: no limit. */
export interface Budget {
  steps: number | null
  tokens: number | null
  cost_usd: number | null
  seconds: number | null
}

/** What is asked of a budget; absent: what the server allows. */
export type AskedBudget = { [Item in keyof Budget]?: number | undefined }

/** A session as the API shows it. */
export interface Session {
  id: string
  name: string
  state: SessionState
  state_reason: string | null
  owner: { tenant_id: string; actor_id: string }
  principal: Principal
  allowed_paths: string[]
  metadata: Record<string, string>
  model: string | null
  repo_url: string | null
  repo_ref: string | null
  tools: { allow: string[]; deny: string[] }
  network: 'none' | 'host'
  limits: Limits
  sandbox: { kind: string; generation: number; isolation: Isolation | null } | null
  workspace_path: '/session/code'
  parent_session_id: string | null
  usage: {
    input_tokens: number
    output_tokens: number
    turns: number
    invocations: number
    steps: number
    cost_usd: number
    seconds: number
  }
  budgets: { turn: Budget; session: Budget }
  idle_timeout_seconds: number
  created_at: string
  last_activity_at: string
  expires_at: string | null
  closed_at: string | null
}

/** What a session is made from. Times in seconds. */
export interface CreateSession {
  session_id?: string | undefined
  name?: string | undefined
  metadata?: Record<string, string> | undefined
  secrets?: Record<string, string> | undefined
  instructions?: string | undefined
  setup?: string | undefined
  source_repo_path?: string | undefined
  repo_url?: string | undefined
  repo_ref?: string | undefined
  repo_auth_secret?: string | undefined
  allowed_paths?: string[] | undefined
  principal?: { tenant_id: string; actor_id: string; roles?: string[] | undefined } | undefined
  model?: string | undefined
  message?: string | undefined
  tools?: { allow?: string[] | undefined; deny?: string[] | undefined } | undefined
  auto_approve?: string[] | undefined
  network?: 'none' | 'host' | undefined
  isolation_floor?: IsolationLevel | undefined
  limits?: { memory_mb?: number | undefined; cpus?: number | undefined; pids?: number | undefined } | undefined
  budgets?: { turn?: AskedBudget | undefined; session?: AskedBudget | undefined } | undefined
  expires_in_seconds?: number | undefined
  idle_timeout_seconds?: number | undefined
}

export interface UpdateSession {
  name?: string | undefined
  metadata?: Record<string, string> | undefined
  idle_timeout_seconds?: number | undefined
  /** From now; null: it does not expire. */
  expires_in_seconds?: number | null | undefined
}

/** Who a credential stands for. */
export interface Me {
  kind: 'user' | 'agent' | 'mcp'
  tenant_id: string
  actor_id: string
  roles: string[]
  tool_roles: string[]
  session_id: string | null
  permissions: Permission[]
}

export interface User {
  name: string
  tenant_id: string
  roles: string[]
  tool_roles: string[]
  active: boolean
  created_at: string
  last_login_at: string | null
}

export interface CreateUser {
  name: string
  password: string
  tenant_id?: string | undefined
  roles?: string[] | undefined
  tool_roles?: string[] | undefined
}

export interface UpdateUser {
  password?: string | undefined
  roles?: string[] | undefined
  tool_roles?: string[] | undefined
  active?: boolean | undefined
}

export interface ApiToken {
  id: string
  name: string
  prefix: string
  created_at: string
  expires_at: string | null
  last_used_at: string | null
}

export interface RoleBinding {
  principal: string
  role_name: string
  created_at: string
}

export type CompactTool = Pick<
  ToolMetadata,
  'name' | 'family' | 'description' | 'scope' | 'side_effects' | 'risk_level' | 'requires_approval'
>
/** `statistics` null: nobody of the session's tenant called it lately. */
export type Tool = ToolMetadata & { statistics: ToolStatistics | null }

/** `limit` at most 200, `cursor` as the page before gave it. */
export interface PageQuery {
  limit?: number | undefined
  cursor?: string | undefined
}

/** What policy says to a call. */
export interface PolicyCheck {
  tool_name: string
  effect: 'allow' | 'deny' | 'require_approval' | 'standing_approval'
  /** Not denied: it may still need an approval. */
  allowed: boolean
  requires_approval: boolean
  rule: string
  reason: string
  violations: string[]
  policies: string[]
  approvers: string[][]
  policy_version: string
}

import type { Approval, ApprovalStatus } from '../domain/approval.ts'
import type { Approvers } from '../domain/approvers.ts'
import type { Budget } from '../domain/budget.ts'
import type { ConnectorList, ConnectorReview, ConnectorSummary, ToolDifference } from '../domain/connector.ts'
import type { Artifact, Invocation, InvocationStatus, LogLine } from '../domain/invocation.ts'
import type { Message } from '../domain/message.ts'
import type { Caller } from '../domain/principal.ts'
import type { Redactor } from '../domain/redaction.ts'
import type { IsolationLevel, Limits, Session, SessionState } from '../domain/session.ts'
import type { ToolMetadata } from '../domain/tool.ts'
import type { ToolStatistics } from '../domain/tool-statistics.ts'
import type { FileEntry } from '../host/wire.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import type { ApiToken, Page, PageRequest, RoleBinding, User } from '../store/store.ts'

/**
 * What the services are to each other and to their callers (http, mcp, operator, agent). Each interface has one implementation,
 * named after it. Every method that takes a `caller` checks permission and ownership itself: `not_found` for what is not the
 * caller's, `permission_denied` for what its role or kind may not do.
 */

export interface InvokeRequest {
  session_id: string
  tool_name: string
  /** Unparsed: the gate validates. */
  args: unknown
  approved?: boolean
  request_approval?: boolean
  correlation_id?: string
  /** Set by the agent loop. */
  turn_id?: string
  /** 32 hex digits; made when absent. */
  trace_id?: string
}

export interface ToolFilter {
  risk?: string
  side_effects?: string
  scope?: string
  family?: string
}

/** What the gate would say to a call, and why. */
export interface PolicyCheck {
  tool_name: string
  effect: 'allow' | 'deny' | 'require_approval' | 'standing_approval'
  /** Not denied: it may still need an approval. */
  allowed: boolean
  requires_approval: boolean
  rule: string
  reason: string
  violations: string[]
  /** Ids of the administrator's policies that determine it. */
  policies: string[]
  /** Who may approve, where approval is needed. */
  approvers: Approvers
  policy_version: string
}

/** THE gate: REST, CLI, MCP, files endpoint and agent loop all come through `invoke`. */
export interface Invocations {
  /**
   * Resolves when the tool ran (whatever came of it: look at `status`), or with `pending_approval`. Rejects with
   * `InvocationRefused` when it was refused, `CloisterError` when session or tool do not exist or when we failed.
   */
  invoke(caller: Caller, request: InvokeRequest): Promise<Invocation>
  /** Resolves when the invocation is not running or pending any more (or at once if it is not open). */
  settled(invocationId: string, signal?: AbortSignal): Promise<Invocation>
  get(caller: Caller, id: string): Promise<Invocation>
  list(
    caller: Caller,
    sessionId: string,
    filter: { tool?: string; status?: InvocationStatus },
    page: PageRequest,
  ): Promise<Page<Invocation>>
  /** In the order in which they came, at most 1000 a page. */
  logs(caller: Caller, id: string, page: PageRequest): Promise<Page<LogLine>>
  /** Oldest first. */
  artifacts(caller: Caller, id: string, page: PageRequest): Promise<Page<Artifact>>
  /** `open` rejects with `not_found` when the bytes are gone. `range`: first and last byte, inclusive. */
  artifact(
    caller: Caller,
    id: string,
    artifactId: string,
  ): Promise<{ artifact: Artifact; open(range?: { start: number; end: number }): Promise<NodeJS.ReadableStream> }>
  /** What `invoke` would be told by policy. Runs and records nothing. */
  check(caller: Caller, sessionId: string, toolName: string, args: unknown): Promise<PolicyCheck>
  /** Kills what runs; the record ends `failed` / `cancelled`. */
  cancel(caller: Caller, id: string): Promise<Invocation>
  tools(caller: Caller, sessionId: string, filter: ToolFilter): Promise<ToolMetadata[]>
  /** By name, of the tools that the session may use; those without calls are absent. Counts of its tenant, nobody's in particular. */
  toolStatistics(caller: Caller, sessionId: string): Promise<Map<string, ToolStatistics>>
  /** Ends every open invocation of a session (close, delete): cancelled, pending approvals void. */
  abandonSession(sessionId: string, reason: string): Promise<void>
  /** A decided approval: runs exactly that call, once. Called by Approvals. */
  approvalDecided(approval: Approval): Promise<void>
  /** Expired approvals: the invocation ends `denied`. Called by the operator. */
  approvalExpired(approval: Approval): Promise<void>
  /**
   * After a restart: asks each open invocation's sandbox what became of it and goes on (operation ids make that exact), or
   * records `unknown_outcome` / `sandbox_lost`.
   */
  resume(): Promise<void>
  /** Runs a step of the system itself (setup, clone) as a recorded invocation. `run` gets a log sink. */
  recordSystem(
    session: Session,
    toolName: 'session.setup' | 'session.clone' | 'session.copy_source',
    run: (io: {
      invocationId: string
      output: (channel: 'stdout' | 'stderr', chunk: Buffer) => void
      /** What came was cut off at its limit. */
      outputCut: () => void
    }) => Promise<{ exit_code: number | null; output: Record<string, unknown> }>,
  ): Promise<Invocation>
  /** Lets what runs go on in the sandboxes (they are resumed by the next server); resolves when nothing of ours is half written. */
  stop(): Promise<void>
}

export interface Approvals {
  list(caller: Caller, filter: { status?: ApprovalStatus; session_id?: string }, page: PageRequest): Promise<Page<Approval>>
  get(caller: Caller, id: string): Promise<Approval>
  approve(caller: Caller, id: string, reason: string | null): Promise<Approval>
  deny(caller: Caller, id: string, reason: string | null): Promise<Approval>
  /** A pending or approved-but-not-yet-used one. */
  revoke(caller: Caller, id: string, reason: string | null): Promise<Approval>
  /** The operator's: expires what is due. */
  expireDue(now: Date): Promise<void>
}

/** Sandboxes of sessions: started when needed, found again after a restart, never two for one session. */
export interface Sandboxes {
  /**
   * The session's running sandbox, started (and set up) if need be. Throws `sandbox_unavailable`; `conflict` when setup failed.
   */
  acquire(sessionId: string): Promise<{ sandbox: Sandbox; generation: number }>
  /** The running one, or null. Starts nothing. */
  current(sessionId: string): { sandbox: Sandbox; generation: number } | null
  /** Somebody noticed that it is gone. */
  lost(sessionId: string, generation: number, reason: string): Promise<void>
  /** The redactor of the session's secrets. Cached; survives close. */
  redactor(sessionId: string): Promise<Redactor>
}

export interface CreateSession {
  session_id?: string
  name?: string
  metadata?: Record<string, string>
  secrets?: Record<string, string>
  instructions?: string
  setup?: string
  source_repo_path?: string
  repo_url?: string
  repo_ref?: string
  repo_auth_secret?: string
  allowed_paths?: string[]
  principal?: { tenant_id: string; actor_id: string; roles?: string[] }
  model?: string
  message?: string
  tools?: { allow?: string[]; deny?: string[] }
  auto_approve?: string[]
  network?: 'none' | 'host'
  isolation_floor?: IsolationLevel
  limits?: Partial<Limits>
  budgets?: { turn?: Partial<Budget>; session?: Partial<Budget> }
  expires_in_seconds?: number
  idle_timeout_seconds?: number
}

export interface Sessions {
  /** `warnings`: such as secrets too short to be redacted. */
  create(caller: Caller, request: CreateSession): Promise<{ session: Session; warnings: string[] }>
  get(caller: Caller, id: string, options?: { deleted?: boolean }): Promise<Session>
  list(caller: Caller, filter: { owner?: string; state?: SessionState; q?: string }, page: PageRequest): Promise<Page<Session>>
  update(
    caller: Caller,
    id: string,
    fields: {
      name?: string
      metadata?: Record<string, string>
      idle_timeout_seconds?: number
      expires_in_seconds?: number | null
    },
  ): Promise<Session>
  close(caller: Caller, id: string, reason?: string): Promise<Session>
  restore(caller: Caller, id: string): Promise<Session>
  delete(caller: Caller, id: string): Promise<Session>
}

export interface Turns {
  /** Queues a user message; a turn starts when the session is idle. */
  post(caller: Caller, sessionId: string, content: string): Promise<{ message: Message; turn_id: string }>
  messages(caller: Caller, sessionId: string, page: PageRequest): Promise<Page<Message>>
  /** Stops the running turn: model stream and running commands. The session is idle again. */
  interrupt(caller: Caller, sessionId: string): Promise<Session>
  /** Starts a turn if the session is idle and messages wait. Called after initialization, restore, and each turn. */
  kick(sessionId: string): void
  /** The session closes: ends its turn. Resolves when the turn no longer acts. */
  abandonSession(sessionId: string): Promise<void>
  /** After a restart: goes on with open turns. */
  resume(): Promise<void>
  /** Graceful shutdown: stops between steps, leaving the turns to the next server. */
  stop(): Promise<void>
}

/** Raw files of a session over HTTP: one gate with `fs.read` and `fs.write`. */
export interface Files {
  download(caller: Caller, sessionId: string, path: string): Promise<{ entry: FileEntry; stream: NodeJS.ReadableStream }>
  upload(
    caller: Caller,
    sessionId: string,
    path: string,
    approved: boolean,
    body: NodeJS.ReadableStream,
  ): Promise<{ path: string; bytes_written: number; sha256: string; invocation: Invocation }>
}

/** Whole artifacts for whoever may invoke tools, agent credentials too: one gate with `artifact.download`. */
export interface Artifacts {
  /**
   * Null: the session has none of this id, or its bytes are gone. Throws `payload_too_large` above 4 MiB: the message says where it is
   * to be had.
   */
  read(caller: Caller, sessionId: string, artifactId: string): Promise<{ artifact: Artifact; content: Buffer } | null>
}

/** MCP servers of the configuration. Admins only. */
export interface Connectors {
  list(caller: Caller): Promise<ConnectorSummary[]>
  /** `list`: what was reviewed; null: nothing was. `differences`: what was seen to differ from it since. */
  get(
    caller: Caller,
    name: string,
  ): Promise<{
    connector: ConnectorSummary
    list: ConnectorList | null
    differences: ToolDifference[]
    reviews: Omit<ConnectorReview, 'tools'>[]
  }>
  /**
   * Asks the server for its tools. With the digest of what the caller has looked at the list is let in, if it is still that one
   * (`conflict` if not); without, nothing changes, unless it differs from what was reviewed: then the connector is flagged.
   */
  review(
    caller: Caller,
    name: string,
    digest: string | null,
  ): Promise<{ connector: ConnectorSummary; list: ConnectorList; differences: ToolDifference[]; accepted: boolean }>
}

/**
 * Who callers are, and the administration of users, roles and tokens. One implementation: AuthService. Methods with a `caller`
 * check it themselves: users and role bindings are for admins; API tokens are the caller's own.
 */
export interface Auth {
  /** Throws `unauthorized`, the same for an unknown user, a wrong password and an inactive user; `rate_limited` after many failures. */
  login(
    user: string,
    password: string,
    tenantId?: string,
    /** Of the client: failures are limited per user and address. */
    address?: string,
  ): Promise<{ token: string; expires_at: string; user: User }>
  /** Of a login token, an API token or a session token, without `Bearer `. Throws `unauthorized`. */
  authenticate(bearer: string): Promise<Caller>
  /** `value` is shown once. `expires_in_seconds` absent: it does not expire. */
  createToken(caller: Caller, request: { name: string; expires_in_seconds?: number }): Promise<{ token: ApiToken; value: string }>
  /** Newest first. */
  listTokens(caller: Caller, page: PageRequest): Promise<Page<ApiToken>>
  revokeToken(caller: Caller, id: string): Promise<void>
  /** An agent credential of this session: may invoke its tools and nothing else. Needs `session:message`. */
  mintSessionToken(caller: Caller, sessionId: string, ttlSeconds: number): Promise<{ token: string; expires_at: string }>
  /** By tenant and name. */
  listUsers(caller: Caller, page: PageRequest): Promise<Page<User>>
  createUser(
    caller: Caller,
    request: { name: string; password: string; tenant_id?: string; roles?: string[]; tool_roles?: string[] },
  ): Promise<User>
  getUser(caller: Caller, name: string, tenantId?: string): Promise<User>
  updateUser(
    caller: Caller,
    name: string,
    fields: { password?: string; tool_roles?: string[]; active?: boolean; roles?: string[] },
    tenantId?: string,
  ): Promise<User>
  deleteUser(caller: Caller, name: string, tenantId?: string): Promise<void>
  /** By principal and role. */
  listRoleBindings(caller: Caller, page: PageRequest): Promise<Page<RoleBinding>>
  createRoleBinding(caller: Caller, binding: { principal: string; role_name: string }): Promise<RoleBinding>
  deleteRoleBinding(caller: Caller, principal: string, roleName: string): Promise<void>
}

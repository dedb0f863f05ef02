import type { Approval, ApprovalStatus } from '../domain/approval.ts'
import type { Spent } from '../domain/budget.ts'
import type { ConnectorFlag, ConnectorReview } from '../domain/connector.ts'
import type { ChainVerdict, Event, EventType } from '../domain/event.ts'
import type { Artifact, Invocation, InvocationStatus, LogLine } from '../domain/invocation.ts'
import type { Message } from '../domain/message.ts'
import type { Actor } from '../domain/principal.ts'
import type { Session, SessionState } from '../domain/session.ts'
import type { OutcomeCount } from '../domain/tool-statistics.ts'

/** A page, newest first unless said otherwise. `cursor` is opaque; null: there is no more. */
export interface Page<T> {
  items: T[]
  next_cursor: string | null
}

export interface PageRequest {
  /** 1 to 200. */
  limit: number
  cursor: string | null
}

/** An event before the store gave it its place in the chain. */
export interface NewEvent {
  type: EventType
  at: string
  actor: Actor
  data: Record<string, unknown>
}

export interface User {
  name: string
  tenant_id: string
  /** `admin` or `user`, from role_bindings. */
  roles: string[]
  tool_roles: string[]
  active: boolean
  created_at: string
  last_login_at: string | null
}

export interface ApiToken {
  id: string
  name: string
  /** First characters of the value, to tell tokens apart. */
  prefix: string
  owner: { tenant_id: string; actor_id: string }
  created_at: string
  expires_at: string | null
  last_used_at: string | null
}

export interface RoleBinding {
  /** `tenant_id/actor_id`. */
  principal: string
  role_name: string
  created_at: string
}

export interface SessionFilter {
  owner?: { tenant_id: string; actor_id: string }
  /** Any tenant's: for `?owner=` of an admin that names only the actor. */
  owner_actor_id?: string
  state?: SessionState
  /** Substring of id or name. */
  q?: string
  include_deleted?: boolean
}

/**
 * Everything that is kept in SQL. Every method may throw `store_unavailable`. Methods called on the `tx` given to `transaction`
 * commit together or not at all; a `tx` must not be used after its callback returned. Transactions are serialised (SQLite) or
 * serialisable (PostgreSQL). Inside `transaction` the outer store throws (it would wait for itself for ever); a transaction in a
 * transaction is a savepoint.
 */
export interface Store {
  transaction<T>(work: (tx: Store) => Promise<T>): Promise<T>
  ping(): Promise<void>
  close(): Promise<void>

  readonly sessions: {
    /** Throws `conflict` if the id is taken, also by a deleted session, or if `sandbox_uid` is in use. */
    insert(session: Session): Promise<void>
    get(id: string): Promise<Session | null>
    /** Writes the given fields. Throws `not_found`. */
    update(id: string, fields: Partial<Omit<Session, 'id'>>): Promise<void>
    /** Adds to the counters and moves `last_activity_at`. */
    addUsage(id: string, usage: Partial<Session['usage']>, at: string): Promise<void>
    list(filter: SessionFilter, page: PageRequest): Promise<Page<Session>>
    /** Not deleted, not closed: what the operator looks at. All of them. */
    active(): Promise<Session[]>
    /** Closed, in error or deleted, with a sandbox still on record: what a crash left behind. */
    withStaleSandbox(): Promise<Session[]>
    /** Closed or deleted, last active at `before` or earlier, with rows of artifacts or logs; those that ended first, first. */
    withRemains(before: string, limit: number): Promise<Session[]>
    countByState(): Promise<Record<SessionState, number>>
    /** Host uids in use by sessions that are not deleted. */
    sandboxUids(): Promise<number[]>
  }

  readonly events: {
    /** Allocates the next seq of the session, computes the hash, inserts: one transaction (the caller's, when in one). */
    append(sessionId: string, event: NewEvent): Promise<Event>
    /** In order of seq, `seq > after`. */
    list(sessionId: string, after: number, limit: number): Promise<Event[]>
    /** The last seq, 0 if none. */
    lastSeq(sessionId: string): Promise<number>
    verify(sessionId: string): Promise<ChainVerdict>
  }

  readonly messages: {
    /** Allocates `seq`. */
    insert(message: Omit<Message, 'seq'>): Promise<Message>
    /** In order of seq, oldest first. */
    list(sessionId: string, page: PageRequest): Promise<Page<Message>>
    all(sessionId: string): Promise<Message[]>
    /** User messages that no turn has taken yet, oldest first. */
    queued(sessionId: string): Promise<Message[]>
    markTaken(messageIds: string[], turnId: string): Promise<void>
    /** Sessions that have queued messages. */
    sessionsWithQueued(): Promise<string[]>
  }

  /** The turns that are not over: what must be resumed after a restart. */
  readonly turns: {
    /** Throws `conflict` when the session has one already. */
    insert(turn: OpenTurn): Promise<void>
    update(id: string, fields: Partial<Omit<OpenTurn, 'id' | 'session_id'>>): Promise<void>
    remove(id: string): Promise<void>
    ofSession(sessionId: string): Promise<OpenTurn | null>
    all(): Promise<OpenTurn[]>
  }

  /**
   * Open invocations (running, pending approval) and correlation ids. Finished records go to the `InvocationStore`, which may be
   * this database too.
   */
  readonly openInvocations: {
    /** Throws `conflict` when the correlation id is taken in this session (read it with `byCorrelation`). */
    insert(open: OpenInvocation): Promise<void>
    get(id: string): Promise<OpenInvocation | null>
    update(id: string, fields: Partial<Pick<OpenInvocation, 'record' | 'call'>>): Promise<void>
    /** The invocation is finished: the row goes, what the correlation id named stays. */
    remove(id: string): Promise<void>
    ofSession(sessionId: string): Promise<OpenInvocation[]>
    all(): Promise<OpenInvocation[]>
    byCorrelation(sessionId: string, correlationId: string): Promise<{ invocation_id: string; args_digest: string } | null>
    /** A call refused only for want of approval is evaluated again under the same correlation id. */
    forgetCorrelation(sessionId: string, correlationId: string): Promise<void>
  }

  readonly approvals: {
    insert(approval: Approval): Promise<void>
    get(id: string): Promise<Approval | null>
    ofInvocation(invocationId: string): Promise<Approval | null>
    /** Moves it from one status to another. False if it was not in `from`: somebody was faster. */
    decide(
      id: string,
      from: ApprovalStatus,
      fields: { status: ApprovalStatus; decided_by?: string | null; reason?: string | null; decided_at?: string | null },
    ): Promise<boolean>
    /**
     * `owner`: of the sessions of this principal, and those whose approvers hold one of the entries of `named`, whatever else they
     * hold: whether that is enough is for the caller to ask.
     */
    list(
      filter: {
        status?: ApprovalStatus
        session_id?: string
        owner?: { tenant_id: string; actor_id: string }
        named?: string[]
      },
      page: PageRequest,
    ): Promise<Page<Approval>>
    pending(): Promise<Approval[]>
  }

  readonly artifacts: {
    insert(artifact: Artifact & { invocation_id: string; session_id: string }): Promise<void>
    ofInvocation(invocationId: string): Promise<Artifact[]>
    /** Those of an invocation, oldest first. */
    page(invocationId: string, page: PageRequest): Promise<Page<Artifact>>
    get(invocationId: string, id: string): Promise<(Artifact & { session_id: string }) | null>
    /** Newest first, at most `limit`. */
    ofSession(sessionId: string, limit: number): Promise<Artifact[]>
    /** Null when it is not one of this session's. */
    inSession(sessionId: string, id: string): Promise<(Artifact & { invocation_id: string }) | null>
    /** What they have together. */
    bytesOfSession(sessionId: string): Promise<number>
    /** The rows alone. How many there were. */
    deleteSession(sessionId: string): Promise<number>
  }

  readonly logs: {
    /**
     * While the invocation is open, or after it has lines, or when its finished record is in this database: else its session is
     * not known (`not_found`).
     */
    append(invocationId: string, lines: LogLine[]): Promise<void>
    list(invocationId: string): Promise<LogLine[]>
    /** In the same order. `limit`: 1 to 1000, lines are short. */
    page(invocationId: string, page: PageRequest): Promise<Page<LogLine>>
    /** How many there were. */
    deleteSession(sessionId: string): Promise<number>
  }

  /** How calls ended, as counts by tenant. In SQL whatever keeps the records: they outlive these. */
  readonly toolOutcomes: {
    /** Counts one call for the tenant that owns the session. `day`: `2026-01-31`. */
    count(sessionId: string, call: Omit<OutcomeCount, 'count'> & { day: string }): Promise<void>
    /** Of that day and later, summed up. */
    ofTenant(tenantId: string, fromDay: string): Promise<OutcomeCount[]>
    deleteBefore(day: string): Promise<void>
  }

  /** What was reviewed of connectors, and what differs since. Reviews are kept for good: who let in what, when. */
  readonly connectors: {
    insertReview(review: ConnectorReview): Promise<void>
    /** The last one of each connector. */
    latestReviews(): Promise<ConnectorReview[]>
    /** Without their tools, newest first, at most `limit`. */
    reviews(connector: string, limit: number): Promise<Omit<ConnectorReview, 'tools'>[]>
    /** Replaces the flag that is there. */
    flag(flag: ConnectorFlag): Promise<void>
    flags(): Promise<ConnectorFlag[]>
    unflag(connector: string): Promise<void>
  }

  readonly users: {
    /** Throws `conflict` if the name is taken in the tenant. */
    insert(user: Omit<User, 'roles' | 'last_login_at'> & { password_hash: string }): Promise<void>
    get(tenantId: string, name: string): Promise<(User & { password_hash: string }) | null>
    list(): Promise<User[]>
    /** By tenant and name. */
    page(page: PageRequest): Promise<Page<User>>
    update(
      tenantId: string,
      name: string,
      fields: Partial<{
        tool_roles: string[]
        active: boolean
        password_hash: string
        last_login_at: string
        tokens_valid_after: string
      }>,
    ): Promise<boolean>
    /** JWTs issued before this time are refused (password change, deactivation); null: none. */
    tokensValidAfter(tenantId: string, name: string): Promise<string | null>
    delete(tenantId: string, name: string): Promise<boolean>
    count(): Promise<number>
  }

  readonly roleBindings: {
    put(binding: RoleBinding): Promise<void>
    list(): Promise<RoleBinding[]>
    /** By principal and role. */
    page(page: PageRequest): Promise<Page<RoleBinding>>
    of(principal: string): Promise<string[]>
    delete(principal: string, roleName: string): Promise<boolean>
  }

  readonly apiTokens: {
    /** `hash`: SHA-256 of the value. `session_id`: an agent credential of that session. */
    insert(token: ApiToken & { hash: string; session_id: string | null }): Promise<void>
    byHash(hash: string): Promise<(ApiToken & { session_id: string | null }) | null>
    listOf(owner: { tenant_id: string; actor_id: string }): Promise<ApiToken[]>
    /** Newest first. */
    pageOf(owner: { tenant_id: string; actor_id: string }, page: PageRequest): Promise<Page<ApiToken>>
    touch(id: string, at: string): Promise<void>
    delete(id: string, owner: { tenant_id: string; actor_id: string }): Promise<boolean>
    deleteOfSession(sessionId: string): Promise<void>
    /** Credentials of this session that expired before `now`. */
    deleteExpired(sessionId: string, now: string): Promise<void>
    deleteOfOwner(owner: { tenant_id: string; actor_id: string }): Promise<void>
  }
}

/** A turn that is not over. `state` is the agent loop's own, so that it goes on where it was. */
export interface OpenTurn {
  id: string
  session_id: string
  started_at: string
  /** Model calls made so far. */
  steps: number
  /** Set when somebody asked it to stop. */
  interrupted: boolean
  /** The turn's transcript so far, JSON of the agent's (redacted) messages. */
  transcript: unknown[]
  /** What the turn used until then. */
  spent: Spent
}

/**
 * An invocation that is not finished. `call` is what must be known to go on after a restart: the args as given (a caller's args
 * that held a secret were refused before), and who called.
 */
export interface OpenInvocation {
  record: Invocation
  call: {
    args: Record<string, unknown>
    caller: Record<string, unknown>
    /** Generation of the sandbox that it runs in; null until it has one. */
    generation: number | null
    /** When it must be over, RFC 3339; null while it waits for approval. */
    deadline: string | null
    /** What the caller said about approval: needed when the call is evaluated again after a restart. */
    approved?: boolean
    request_approval?: boolean
    /**
     * False: it cannot be run again from its args (an upload's body is gone, the system's own steps begin anew), or may not be,
     * because it acted where nobody can ask what became of it.
     */
    resumable?: boolean
    /** How it ended, when the store of finished records was away then: it is put there as soon as that store is back. */
    finished?: Invocation
  }
}

/** Finished invocation records (`INVOCATION_STORE_BACKEND`). One conformance suite runs on every implementation. */
export interface InvocationStore {
  readonly kind: 'sql' | 'memory' | 'valkey'
  put(record: Invocation): Promise<void>
  get(id: string): Promise<Invocation | null>
  /** Newest first. */
  list(sessionId: string, filter: { tool?: string; status?: InvocationStatus }, page: PageRequest): Promise<Page<Invocation>>
  deleteSession(sessionId: string): Promise<void>
  ping(): Promise<void>
  /** Lets go of what is its own; the `sql` backend has nothing of its own. */
  close(): Promise<void>
}

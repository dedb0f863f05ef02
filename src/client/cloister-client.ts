import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConnectionError } from './api-error.ts'
import type {
  ApiToken,
  Approval,
  Artifact,
  ChainVerdict,
  CompactTool,
  ConnectorDetail,
  ConnectorLook,
  ConnectorSummary,
  CreateSession,
  CreateUser,
  Delta,
  Event,
  Invocation,
  LogLine,
  Me,
  Message,
  PageQuery,
  PolicyCheck,
  RoleBinding,
  Session,
  Tool,
  UpdateSession,
  UpdateUser,
  User,
} from './api-types.ts'
import { type FollowOptions, followEvents } from './follow-events.ts'
import { Transport, type TransportOptions } from './transport.ts'

export { ApiError, ConnectionError } from './api-error.ts'
export type * from './api-types.ts'

/** How often an invocation that outlived its connection is asked for, in ms. */
const POLL_MS = 500

export interface InvokeTool {
  args: Record<string, unknown>
  /** The caller's approval, given with the call. */
  approved?: boolean | undefined
  /** Wait for somebody's approval instead of being refused: status `pending_approval`. */
  request_approval?: boolean | undefined
  /** Absent: one is made, so that a call whose connection breaks is found again and not made twice. */
  correlation_id?: string | undefined
}

/**
 * The API, typed: one method for each operation. Methods throw `ApiError` for what the server refuses and `ConnectionError` when
 * it cannot be reached.
 */
export class CloisterClient {
  readonly #transport: Transport

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options)
  }

  // server

  version(): Promise<{ name: string; version: string; api_version: string }> {
    return this.#get('/v1/version')
  }

  // auth

  /** @param tenant default: `default` */
  login(user: string, password: string, tenant?: string): Promise<{ token: string; expires_at: string; user: User }> {
    return this.#post('/v1/auth/login', { user, password, tenant })
  }

  async me(): Promise<Me> {
    return (await this.#get<{ principal: Me }>('/v1/auth/me')).principal
  }

  /** `value` is shown only now. */
  createToken(request: { name: string; expires_in_seconds?: number | undefined }): Promise<{ token: ApiToken; value: string }> {
    return this.#post('/v1/auth/tokens', request)
  }

  async listTokens(): Promise<{ tokens: ApiToken[] }> {
    return { tokens: await this.#all('/v1/auth/tokens', 'tokens') }
  }

  async revokeToken(id: string): Promise<void> {
    await this.#delete(`/v1/auth/tokens/${segment(id)}`)
  }

  // users and role bindings

  async listUsers(): Promise<{ users: User[] }> {
    return { users: await this.#all('/v1/users', 'users') }
  }

  async createUser(request: CreateUser): Promise<User> {
    return (await this.#post<{ user: User }>('/v1/users', request)).user
  }

  async getUser(name: string, tenant?: string): Promise<User> {
    return (await this.#get<{ user: User }>(`/v1/users/${segment(name)}`, { tenant })).user
  }

  async updateUser(name: string, fields: UpdateUser, tenant?: string): Promise<User> {
    const options = { json: fields, query: { tenant } }
    return (await this.#transport.json<{ user: User }>('PATCH', `/v1/users/${segment(name)}`, options)).user
  }

  async deleteUser(name: string, tenant?: string): Promise<void> {
    await this.#transport.json('DELETE', `/v1/users/${segment(name)}`, { query: { tenant } })
  }

  async listRoleBindings(): Promise<{ role_bindings: RoleBinding[] }> {
    return { role_bindings: await this.#all('/v1/role-bindings', 'role_bindings') }
  }

  /** @param principal `tenant_id/actor_id` */
  async createRoleBinding(principal: string, roleName: string): Promise<RoleBinding> {
    const body = { principal, role_name: roleName }
    return (await this.#post<{ role_binding: RoleBinding }>('/v1/role-bindings', body)).role_binding
  }

  async deleteRoleBinding(principal: string, roleName: string): Promise<void> {
    await this.#delete(`/v1/role-bindings/${segment(principal)}/${segment(roleName)}`)
  }

  // sessions

  createSession(request: CreateSession): Promise<{ session: Session; warnings: string[] }> {
    return this.#post('/v1/sessions', request)
  }

  listSessions(
    query: PageQuery & { owner?: string | undefined; state?: string | undefined; q?: string | undefined } = {},
  ): Promise<{ sessions: Session[]; next_cursor: string | null }> {
    return this.#get('/v1/sessions', { ...query })
  }

  getSession(id: string, options: { deleted?: boolean } = {}): Promise<Session> {
    return this.#session(this.#get(`/v1/sessions/${segment(id)}`, { deleted: options.deleted || undefined }))
  }

  updateSession(id: string, fields: UpdateSession): Promise<Session> {
    return this.#session(this.#transport.json('PATCH', `/v1/sessions/${segment(id)}`, { json: fields }))
  }

  deleteSession(id: string): Promise<{ closed: true; session: Session }> {
    return this.#delete(`/v1/sessions/${segment(id)}`)
  }

  closeSession(id: string): Promise<Session> {
    return this.#session(this.#post(`/v1/sessions/${segment(id)}/close`))
  }

  /** It may still be `initializing` when this resolves. */
  restoreSession(id: string): Promise<Session> {
    return this.#session(this.#post(`/v1/sessions/${segment(id)}/restore`))
  }

  interruptSession(id: string): Promise<Session> {
    return this.#session(this.#post(`/v1/sessions/${segment(id)}/interrupt`))
  }

  /** An agent credential: may invoke the tools of this session and nothing else. */
  createSessionToken(
    id: string,
    options: { expires_in_seconds?: number | undefined } = {},
  ): Promise<{ token: string; expires_at: string }> {
    return this.#post(`/v1/sessions/${segment(id)}/tokens`, options)
  }

  // messages

  postMessage(sessionId: string, content: string): Promise<{ message: Message; turn_id: string }> {
    return this.#post(`/v1/sessions/${segment(sessionId)}/messages`, { content })
  }

  /** Oldest first. */
  listMessages(sessionId: string, query: PageQuery = {}): Promise<{ messages: Message[]; next_cursor: string | null }> {
    return this.#get(`/v1/sessions/${segment(sessionId)}/messages`, { ...query })
  }

  // events

  listEvents(
    sessionId: string,
    query: { after?: number | undefined; limit?: number | undefined; deleted?: boolean | undefined } = {},
  ): Promise<{ events: Event[]; next_after: number }> {
    return this.#get(`/v1/sessions/${segment(sessionId)}/events`, { ...query, deleted: query.deleted || undefined })
  }

  /** What is there now, page by page. */
  async *allEvents(sessionId: string, query: { after?: number; deleted?: boolean } = {}): AsyncGenerator<Event, void> {
    let after = query.after ?? 0
    for (;;) {
      const { events, next_after } = await this.listEvents(sessionId, { ...query, after, limit: 1000 })
      if (events.length === 0) return
      yield* events
      after = next_after
    }
  }

  /** What is there, then what happens, each event once; deltas among them. See `followEvents`. */
  streamEvents(sessionId: string, options: FollowOptions = {}): AsyncGenerator<Event | Delta, void> {
    return followEvents(this.#transport, sessionId, options)
  }

  verifyEvents(sessionId: string, options: { deleted?: boolean } = {}): Promise<ChainVerdict> {
    return this.#get(`/v1/sessions/${segment(sessionId)}/events/verify`, { deleted: options.deleted || undefined })
  }

  // files

  async downloadFile(sessionId: string, path: string, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const options = { query: { path }, headers: { accept: '*/*' }, signal }
    return bodyOf(await this.#transport.send('GET', `/v1/sessions/${segment(sessionId)}/files`, options))
  }

  uploadFile(
    sessionId: string,
    path: string,
    content: Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>,
    options: { approved?: boolean; signal?: AbortSignal } = {},
  ): Promise<{ path: string; bytes_written: number; sha256: string; invocation: Invocation }> {
    return this.#transport.json('PUT', `/v1/sessions/${segment(sessionId)}/files`, {
      query: { path, approved: options.approved },
      body: content,
      signal: options.signal,
    })
  }

  // tools and invocations

  listTools(sessionId: string, query: ToolQuery & { detail: 'compact' }): Promise<{ tools: CompactTool[] }>
  listTools(sessionId: string, query?: ToolQuery & { detail?: 'full' | undefined }): Promise<{ tools: Tool[] }>
  listTools(
    sessionId: string,
    query: ToolQuery & { detail?: 'full' | 'compact' | undefined } = {},
  ): Promise<{ tools: CompactTool[] }> {
    return this.#get(`/v1/sessions/${segment(sessionId)}/tools`, { ...query })
  }

  /**
   * Resolves when the tool ran (look at `status`), or with `pending_approval`. A connection that is cut meanwhile (fetch gives up
   * after five minutes without an answer) is no harm: the call is found again by its correlation id and waited for.
   */
  async invokeTool(sessionId: string, toolName: string, call: InvokeTool, signal?: AbortSignal): Promise<Invocation> {
    const json = { ...call, correlation_id: call.correlation_id ?? `client-${randomUUID()}` }
    const path = `/v1/sessions/${segment(sessionId)}/tools/${segment(toolName)}/invoke`
    const attempt = async (): Promise<Invocation> => {
      return (await this.#transport.json<{ invocation: Invocation }>('POST', path, { json, signal })).invocation
    }
    let invocation: Invocation
    try {
      invocation = await attempt()
    } catch (error) {
      if (!(error instanceof ConnectionError) || !error.sent) throw error
      invocation = await attempt()
    }
    while (invocation.status === 'running') {
      await sleep(POLL_MS, undefined, { signal })
      invocation = await this.getInvocation(invocation.id)
    }
    return invocation
  }

  /** What policy would say to this call. Nothing runs, nothing is recorded. */
  async checkTool(sessionId: string, toolName: string, args: Record<string, unknown>): Promise<PolicyCheck> {
    const path = `/v1/sessions/${segment(sessionId)}/tools/${segment(toolName)}/check`
    return (await this.#post<{ check: PolicyCheck }>(path, { args })).check
  }

  /** Newest first. */
  listInvocations(
    sessionId: string,
    query: PageQuery & { tool?: string | undefined; status?: string | undefined } = {},
  ): Promise<{ invocations: Invocation[]; next_cursor: string | null }> {
    return this.#get(`/v1/sessions/${segment(sessionId)}/invocations`, { ...query })
  }

  async getInvocation(id: string): Promise<Invocation> {
    return (await this.#get<{ invocation: Invocation }>(`/v1/invocations/${segment(id)}`)).invocation
  }

  async invocationLogs(id: string): Promise<{ logs: LogLine[] }> {
    return { logs: await this.#all(`/v1/invocations/${segment(id)}/logs`, 'logs', 1000) }
  }

  async invocationArtifacts(id: string): Promise<{ artifacts: Artifact[] }> {
    return { artifacts: await this.#all(`/v1/invocations/${segment(id)}/artifacts`, 'artifacts') }
  }

  async downloadArtifact(invocationId: string, artifactId: string, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const path = `/v1/invocations/${segment(invocationId)}/artifacts/${segment(artifactId)}`
    return bodyOf(await this.#transport.send('GET', path, { headers: { accept: '*/*' }, signal }))
  }

  async cancelInvocation(id: string): Promise<Invocation> {
    return (await this.#post<{ invocation: Invocation }>(`/v1/invocations/${segment(id)}/cancel`)).invocation
  }

  // approvals

  /** Newest first. */
  listApprovals(
    query: PageQuery & { status?: string | undefined; session?: string | undefined } = {},
  ): Promise<{ approvals: Approval[]; next_cursor: string | null }> {
    return this.#get('/v1/approvals', { ...query })
  }

  getApproval(id: string): Promise<Approval> {
    return this.#approval(this.#get(`/v1/approvals/${segment(id)}`))
  }

  /** `revoke`: before it is used. */
  decideApproval(id: string, decision: 'approve' | 'deny' | 'revoke', reason?: string): Promise<Approval> {
    return this.#approval(this.#post(`/v1/approvals/${segment(id)}/${decision}`, { reason }))
  }

  // connectors

  listConnectors(): Promise<{ connectors: ConnectorSummary[] }> {
    return this.#get('/v1/connectors')
  }

  /** With what was reviewed of it. Its server is not asked. */
  getConnector(name: string): Promise<ConnectorDetail> {
    return this.#get(`/v1/connectors/${segment(name)}`)
  }

  /** Asks its server for its tools. @param digest of the list that was looked at, to let it in; absent: only looks */
  reviewConnector(name: string, digest?: string): Promise<ConnectorLook> {
    return this.#post(`/v1/connectors/${segment(name)}/review`, { digest })
  }

  #get<T>(path: string, query: Record<string, string | number | boolean | undefined> = {}): Promise<T> {
    return this.#transport.json('GET', path, { query })
  }

  /** What every page of a list has, one after the other. */
  async #all<T>(path: string, field: string, limit = 200): Promise<T[]> {
    const all: T[] = []
    for (let cursor: string | undefined; ; ) {
      const page = await this.#get<Record<string, unknown>>(path, { limit, cursor })
      all.push(...(page[field] as T[]))
      if (typeof page['next_cursor'] !== 'string') return all
      cursor = page['next_cursor']
    }
  }

  #post<T>(path: string, json: unknown = {}): Promise<T> {
    return this.#transport.json('POST', path, { json })
  }

  #delete<T>(path: string): Promise<T> {
    return this.#transport.json('DELETE', path)
  }

  async #session(answer: Promise<{ session: Session }>): Promise<Session> {
    return (await answer).session
  }

  async #approval(answer: Promise<{ approval: Approval }>): Promise<Approval> {
    return (await answer).approval
  }
}

/** Filters; the server says which values there are. */
export interface ToolQuery {
  risk?: string | undefined
  side_effects?: string | undefined
  scope?: string | undefined
  family?: string | undefined
}

function segment(text: string): string {
  return encodeURIComponent(text)
}

function bodyOf(response: Response): ReadableStream<Uint8Array> {
  return response.body ?? new Blob([]).stream()
}

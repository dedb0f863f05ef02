import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Approval } from '../../src/domain/approval.ts'
import { argsDigest, sha256 } from '../../src/domain/canonical-json.ts'
import type { ConnectorList, ConnectorSummary } from '../../src/domain/connector.ts'
import { errors } from '../../src/domain/errors.ts'
import { newId } from '../../src/domain/ids.ts'
import { type Invocation, InvocationRefused } from '../../src/domain/invocation.ts'
import { actorOf, type Caller, owns, type Permission, permissionsOf } from '../../src/domain/principal.ts'
import { sampleSession } from '../../src/domain/session.sample.ts'
import { nextState, type Session, type SessionAction } from '../../src/domain/session.ts'
import { policyHints, type ToolMetadata } from '../../src/domain/tool.ts'
import type {
  Approvals,
  Connectors,
  CreateSession,
  Files,
  Invocations,
  InvokeRequest,
  Sessions,
  Turns,
} from '../../src/services/contracts.ts'
import type { EventLog } from '../../src/services/event-log.ts'
import type { Store } from '../../src/store/store.ts'

/** What the services were asked, for tests that look at what the HTTP layer passes on. */
export interface Asked {
  created: { caller: Caller; request: CreateSession }[]
  invoked: { caller: Caller; request: InvokeRequest }[]
  uploaded: { path: string; approved: boolean; content: Buffer }[]
}

/**
 * Services without sandboxes, models or policy, over a real store and event log: what the HTTP layer is tested on. They hold to
 * the contracts' rule that each method checks its caller.
 */
export function sampleServices(store: Store, eventLog: EventLog) {
  let uid = 200_001
  const asked: Asked = { created: [], invoked: [], uploaded: [] }
  const records = new Map<string, Invocation>()
  const approvalRecords = new Map<string, Approval>()
  const fileContents = new Map<string, Buffer>()

  function may(caller: Caller, permission: Permission): void {
    if (!permissionsOf(caller).includes(permission)) throw errors.permissionDenied(permission)
  }

  async function session(caller: Caller, id: string, permission: Permission, deleted = false): Promise<Session> {
    const found = await store.sessions.get(id)
    if (!found || !owns(caller, found) || (found.state === 'deleted' && !deleted)) throw errors.notFound('session')
    may(caller, permission)
    return found
  }

  async function move(caller: Caller, id: string, action: SessionAction, permission: Permission): Promise<Session> {
    const before = await session(caller, id, permission)
    const state = nextState(before.state, action)
    if (typeof state !== 'string') throw state
    await eventLog.transaction(async (tx, emit) => {
      await tx.sessions.update(id, { state })
      await emit(id, state === 'deleted' ? 'session.deleted' : 'session.state_changed', actorOf(caller), {
        from: before.state,
        to: state,
      })
    })
    return { ...before, state }
  }

  const sessions: Sessions = {
    async create(caller, request) {
      may(caller, 'session:create')
      asked.created.push({ caller, request })
      if (caller.kind !== 'user') throw errors.permissionDenied('session:create')
      const owner = { tenant_id: caller.tenant_id, actor_id: caller.actor_id }
      const made = sampleSession({
        id: request.session_id ?? newId('ses'),
        name: request.name ?? 'sample',
        owner,
        principal: { ...owner, roles: request.principal?.roles ?? [] },
        metadata: request.metadata ?? {},
        secret_names: Object.keys(request.secrets ?? {}),
        has_setup: request.setup !== undefined,
        sandbox_uid: uid++,
        created_at: new Date(Date.parse('2026-01-01T00:00:00Z') + uid * 1000).toISOString(),
        source_repo_path: '/srv/private/checkout',
      })
      await eventLog.transaction(async (tx, emit) => {
        await tx.sessions.insert(made)
        await emit(made.id, 'session.created', actorOf(caller), { name: made.name })
      })
      return { session: made, warnings: [] }
    },
    get: (caller, id, options) => session(caller, id, 'session:get', options?.deleted),
    async list(caller, filter, page) {
      may(caller, 'session:list')
      if (caller.kind !== 'user') throw errors.permissionDenied('session:list')
      const owner = caller.admin ? {} : { owner: { tenant_id: caller.tenant_id, actor_id: caller.actor_id } }
      const { owner: actor, ...rest } = filter
      return store.sessions.list({ ...rest, ...owner, ...(actor === undefined ? {} : { owner_actor_id: actor }) }, page)
    },
    async update(caller, id, fields) {
      const before = await session(caller, id, 'session:update')
      const { expires_in_seconds: _, ...changed } = fields
      await store.sessions.update(id, changed)
      return { ...before, ...changed }
    },
    close: (caller, id) => move(caller, id, 'close', 'session:close'),
    restore: (caller, id) => move(caller, id, 'restore', 'session:restore'),
    delete: (caller, id) => move(caller, id, 'delete', 'session:delete'),
  }

  function record(caller: Caller, request: InvokeRequest, fields: Partial<Invocation>): Invocation {
    const at = new Date().toISOString()
    const made: Invocation = {
      id: newId('inv'),
      session_id: request.session_id,
      turn_id: null,
      tool_name: request.tool_name,
      args: request.args as Record<string, unknown>,
      args_digest: argsDigest(request.session_id, request.tool_name, request.args),
      actor: actorOf(caller),
      correlation_id: request.correlation_id ?? null,
      status: 'succeeded',
      approval: null,
      decision: { rule: 'default', reason: 'allowed', policy_version: '1' },
      started_at: at,
      completed_at: at,
      duration_ms: 1,
      exit_code: null,
      trace_name: 'workspace.tools',
      span_name: request.tool_name,
      trace_id: 'a'.repeat(32),
      output: { echoed: request.args },
      output_ref: null,
      logs_ref: null,
      artifacts: [],
      truncated: false,
      error: null,
      ...fields,
    }
    records.set(made.id, made)
    return made
  }

  async function invocation(caller: Caller, id: string, permission: Permission): Promise<Invocation> {
    const found = records.get(id)
    if (!found) throw errors.notFound('invocation')
    await session(caller, found.session_id, permission)
    return found
  }

  const artifactBytes = Buffer.from('<script>alert(1)</script>')
  const artifact = {
    id: 'art_1',
    name: 'naïve "page".html\r\nx: y',
    content_type: 'text/html',
    size_bytes: artifactBytes.length,
    sha256: sha256(artifactBytes),
    created_at: '2026-01-01T00:00:00.000Z',
  }

  const invocations = {
    async check(caller: Caller, sessionId: string, toolName: string) {
      const found = await store.sessions.get(sessionId)
      if (!found || !owns(caller, found)) throw errors.notFound('session')
      return {
        tool_name: toolName,
        effect: 'allow' as const,
        allowed: true,
        requires_approval: false,
        rule: 'allowed',
        reason: 'no rule is against it',
        violations: [],
        policies: [],
        approvers: [],
        policy_version: '1',
      }
    },
    async invoke(caller: Caller, request: InvokeRequest): Promise<Invocation> {
      asked.invoked.push({ caller, request })
      const found = await store.sessions.get(request.session_id)
      if (!found || !owns(caller, found)) throw errors.notFound('session')
      const emit = async (made: Invocation, type: 'invocation.completed' | 'invocation.denied') => {
        const data = { invocation_id: made.id, tool_name: made.tool_name, status: made.status }
        await eventLog.append(request.session_id, type, actorOf(caller), data)
        return made
      }
      switch (request.tool_name) {
        case 'test.echo':
          return emit(record(caller, request, { artifacts: [artifact] }), 'invocation.completed')
        case 'test.guarded': {
          if (request.approved) return emit(record(caller, request, {}), 'invocation.completed')
          if (request.request_approval) return record(caller, request, { status: 'pending_approval', completed_at: null })
          const refused = await emit(record(caller, request, { status: 'denied' }), 'invocation.denied')
          throw new InvocationRefused(errors.approvalRequired('this tool needs an approval'), refused)
        }
        case 'test.limited':
          throw new InvocationRefused(errors.rateLimited('too many', 1.2), record(caller, request, { status: 'denied' }))
        case 'test.broken':
          throw new Error('connect to postgres://admin:hunter2@10.0.0.1 failed at /srv/cloister/db.ts')
        case 'test.internal':
          throw errors.internal('cannot open /srv/cloister/postgres.sock')
        case 'test.stuck':
          return new Promise((resolve) => setTimeout(() => resolve(record(caller, request, {})), 300))
        default:
          throw errors.notFound('tool')
      }
    },
    get: (caller: Caller, id: string) => invocation(caller, id, 'session:get'),
    async list(caller: Caller, id: string) {
      await session(caller, id, 'session:get')
      return { items: [...records.values()].filter((each) => each.session_id === id).reverse(), next_cursor: null }
    },
    async logs(caller: Caller, id: string) {
      const { started_at } = await invocation(caller, id, 'session:get')
      return { items: [{ at: started_at, channel: 'stdout' as const, message: 'hello' }], next_cursor: null }
    },
    artifacts: async (caller: Caller, id: string) => ({
      items: (await invocation(caller, id, 'session:get')).artifacts,
      next_cursor: null,
    }),
    async artifact(caller: Caller, id: string, artifactId: string) {
      const found = (await invocation(caller, id, 'session:get')).artifacts.find((each) => each.id === artifactId)
      if (!found) throw errors.notFound('artifact')
      const open = async ({ start, end } = { start: 0, end: artifactBytes.length - 1 }) =>
        Readable.from([artifactBytes.subarray(start, end + 1)])
      return { artifact: found, open }
    },
    cancel: (caller: Caller, id: string) => invocation(caller, id, 'session:message'),
    async tools(caller: Caller, id: string) {
      await session(caller, id, 'session:get')
      return [sampleTool]
    },
    toolStatistics: async (caller: Caller, id: string) => {
      await session(caller, id, 'session:get')
      return new Map()
    },
  } as unknown as Invocations

  async function approval(caller: Caller, id: string, permission: Permission): Promise<Approval> {
    const found = approvalRecords.get(id)
    if (!found) throw errors.notFound('approval')
    await session(caller, found.session_id, permission)
    return found
  }

  const decide = (status: Approval['status']) => async (caller: Caller, id: string, reason: string | null) => {
    const decided: Approval = {
      ...(await approval(caller, id, 'session:approve')),
      status,
      reason,
      decided_by: actorOf(caller).id,
    }
    approvalRecords.set(id, decided)
    return decided
  }

  const approvals = {
    async list(caller: Caller) {
      may(caller, 'session:get')
      return { items: [...approvalRecords.values()], next_cursor: null }
    },
    get: (caller: Caller, id: string) => approval(caller, id, 'session:get'),
    approve: decide('approved'),
    deny: decide('denied'),
    revoke: decide('revoked'),
  } as unknown as Approvals

  const turns = {
    async post(caller: Caller, id: string, content: string) {
      await session(caller, id, 'session:message')
      const message = await store.messages.insert({
        id: newId('msg'),
        session_id: id,
        role: 'user',
        content,
        turn_id: null,
        usage: null,
        created_at: new Date().toISOString(),
      })
      return { message, turn_id: newId('trn') }
    },
    async messages(caller: Caller, id: string, page: { limit: number; cursor: string | null }) {
      await session(caller, id, 'session:get')
      return store.messages.list(id, page)
    },
    interrupt: (caller: Caller, id: string) => session(caller, id, 'session:message'),
  } as unknown as Turns

  const files: Files = {
    async download(caller, id, path) {
      await session(caller, id, 'session:get')
      const content = fileContents.get(path)
      if (!content) throw errors.notFound('file')
      const entry = {
        path: `/session/code/${path}`,
        type: 'file' as const,
        size_bytes: content.length,
        mode: '0644',
        modified_at: '2026-01-01T00:00:00.000Z',
      }
      return { entry, stream: Readable.from([content]) }
    },
    async upload(caller, id, path, approved, body) {
      await session(caller, id, 'session:message')
      const content = await buffer(body)
      asked.uploaded.push({ path, approved, content })
      fileContents.set(path, content)
      const request = { session_id: id, tool_name: 'fs.write', args: { path } }
      return { path, bytes_written: content.length, sha256: sha256(content), invocation: record(caller, request, {}) }
    },
  }

  const connectors: Connectors = {
    list: (caller) => admin(caller, [sampleConnector]),
    get: (caller, name) => known(caller, name, { connector: sampleConnector, list: sampleList, differences: [], reviews: [] }),
    review: (caller, name, digest) =>
      known(caller, name, { connector: sampleConnector, list: sampleList, differences: [], accepted: digest !== null }),
  }

  return { sessions, invocations, approvals, turns, files, connectors, asked, records, approvalRecords }
}

async function admin<T>(caller: Caller, answer: T): Promise<T> {
  if (caller.kind !== 'user' || !caller.admin) throw errors.permissionDenied('connector:review')
  return answer
}

async function known<T>(caller: Caller, name: string, answer: T): Promise<T> {
  await admin(caller, null)
  if (name !== sampleConnector.name) throw errors.notFound('connector')
  return answer
}

const DIGEST = 'ab'.repeat(32)
const sampleConnector: ConnectorSummary = {
  name: 'tracker',
  kind: 'http',
  target: 'https://tracker.example/mcp',
  state: 'reviewed',
  reason: null,
  review: { digest: DIGEST, reviewed_by: 'default/admin', reviewed_at: '2026-01-01T00:00:00.000Z' },
  flagged_at: null,
}
const sampleList: ConnectorList = {
  digest: DIGEST,
  tools: [
    {
      listed: {
        name: 'search',
        title: null,
        description: 'Searches.',
        input_schema: { type: 'object' },
        output_schema: null,
        annotations: { readOnlyHint: true },
      },
      name: 'tracker.search',
      problem: null,
      declared: {
        scope: 'external',
        side_effects: 'none',
        risk_level: 'low',
        requires_approval: false,
        timeout_seconds: 60,
        output_limit_kb: 256,
      },
    },
  ],
  missing: [],
}

export const sampleTool: ToolMetadata = {
  name: 'test.echo',
  family: 'test',
  description: 'Echoes.',
  input_schema: { type: 'object' },
  output_schema: { type: 'object' },
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  idempotency: 'guaranteed',
  constraints: { timeout_seconds: 5, max_retries: 1, output_limit_kb: 256 },
  cost_hint: 'low',
  policy: policyHints(),
  observability: { trace_name: 'workspace.tools', span_name: 'test.echo' },
  primary_output: null,
  errors: [],
  examples: [],
}

import { type Kysely, type Selectable, sql, type Updateable } from 'kysely'
import { errors } from '../../domain/errors.ts'
import { GENESIS_HASH } from '../../domain/event.ts'
import { SESSION_STATES, type Session, type SessionState } from '../../domain/session.ts'
import { decodeCursor } from '../cursor.ts'
import { toPage } from '../page.ts'
import { checkPageLimit } from '../page-limit.ts'
import type { Store } from '../store.ts'
import type { Database, SessionsTable } from './database.ts'
import { ConstraintError } from './database-error.ts'
import { arrayFromJson, objectFromJson, toJson } from './json-column.ts'

/** What the row keeps of a session; the log's and the conversation's counters are the repositories' own. */
type SessionColumns = Omit<SessionsTable, 'event_seq' | 'event_hash' | 'message_seq'>

export function sessions(db: Kysely<Database>): Store['sessions'] {
  return {
    async insert(session) {
      const row = { ...(toColumns(session) as SessionColumns), event_seq: 0, event_hash: GENESIS_HASH, message_seq: 0 }
      const inserted = await uidTaken(() =>
        db
          .insertInto('sessions')
          .values(row)
          .onConflict((oc) => oc.column('id').doNothing())
          .executeTakeFirst(),
      )
      if (inserted.numInsertedOrUpdatedRows === 0n)
        throw errors.conflict(`the session id ${session.id} is taken: choose another, or leave it out`, {
          session_id: session.id,
        })
    },

    async get(id) {
      const row = await db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst()
      return row ? toSession(row) : null
    },

    async update(id, fields) {
      const columns = toColumns(fields)
      if (Object.keys(columns).length === 0) {
        if (await db.selectFrom('sessions').select('id').where('id', '=', id).executeTakeFirst()) return
        throw errors.notFound('session')
      }
      const updated = await uidTaken(() => db.updateTable('sessions').set(columns).where('id', '=', id).executeTakeFirst())
      if (updated.numUpdatedRows === 0n) throw errors.notFound('session')
    },

    async addUsage(id, usage, at) {
      const updated = await db
        .updateTable('sessions')
        .set((eb) => ({
          usage_input_tokens: eb('usage_input_tokens', '+', usage.input_tokens ?? 0),
          usage_output_tokens: eb('usage_output_tokens', '+', usage.output_tokens ?? 0),
          usage_turns: eb('usage_turns', '+', usage.turns ?? 0),
          usage_invocations: eb('usage_invocations', '+', usage.invocations ?? 0),
          usage_steps: eb('usage_steps', '+', usage.steps ?? 0),
          usage_cost_usd: eb('usage_cost_usd', '+', usage.cost_usd ?? 0),
          usage_seconds: eb('usage_seconds', '+', usage.seconds ?? 0),
          // Never backwards: two callers may arrive in the other order than their clocks were read.
          last_activity_at: eb.case().when('last_activity_at', '<', at).then(at).else(eb.ref('last_activity_at')).end(),
        }))
        .where('id', '=', id)
        .executeTakeFirst()
      if (updated.numUpdatedRows === 0n) throw errors.notFound('session')
    },

    async list(filter, page) {
      checkPageLimit(page.limit)
      let query = db.selectFrom('sessions').selectAll()
      if (filter.owner)
        query = query.where('owner_tenant_id', '=', filter.owner.tenant_id).where('owner_actor_id', '=', filter.owner.actor_id)
      if (filter.owner_actor_id !== undefined) query = query.where('owner_actor_id', '=', filter.owner_actor_id)
      if (filter.state !== undefined) query = query.where('state', '=', filter.state)
      if (!filter.include_deleted) query = query.where('state', '!=', 'deleted')
      if (filter.q !== undefined && filter.q !== '') {
        const pattern = `%${filter.q.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`
        query = query.where(
          sql<boolean>`(lower(${sql.ref('id')}) like ${pattern} escape '\\' or lower(${sql.ref('name')}) like ${pattern} escape '\\')`,
        )
      }
      if (page.cursor !== null) {
        const [at, id] = decodeCursor(page.cursor, ['string', 'string']) as [string, string]
        query = query.where((eb) => eb.or([eb('created_at', '<', at), eb.and([eb('created_at', '=', at), eb('id', '<', id)])]))
      }
      const rows = await query
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(page.limit + 1)
        .execute()
      return toPage(rows, page.limit, (row) => [row.created_at, row.id], toSession)
    },

    async active() {
      const rows = await db
        .selectFrom('sessions')
        .selectAll()
        .where('state', 'not in', ['closed', 'deleted'])
        .orderBy('created_at')
        .orderBy('id')
        .execute()
      return rows.map(toSession)
    },

    async withStaleSandbox() {
      const rows = await db
        .selectFrom('sessions')
        .selectAll()
        .where('state', 'in', ['closed', 'error', 'deleted'])
        .where('sandbox', 'is not', null)
        .orderBy('created_at')
        .orderBy('id')
        .execute()
      return rows.map(toSession)
    },

    async withRemains(before, limit) {
      const rows = await db
        .selectFrom('sessions')
        .selectAll()
        .where('state', 'in', ['closed', 'deleted'])
        .where('last_activity_at', '<=', before)
        .where((eb) =>
          eb.or([
            eb('id', 'in', eb.selectFrom('artifacts').select('session_id')),
            eb.exists(
              eb.selectFrom('invocation_logs').select('invocation_id').whereRef('invocation_logs.session_id', '=', 'sessions.id'),
            ),
          ]),
        )
        .orderBy('last_activity_at')
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(toSession)
    },

    async countByState() {
      const rows = await db
        .selectFrom('sessions')
        .select(['state', (eb) => eb.fn.countAll().as('count')])
        .groupBy('state')
        .execute()
      const counts = Object.fromEntries(SESSION_STATES.map((state) => [state, 0])) as Record<SessionState, number>
      for (const row of rows) counts[row.state] = Number(row.count)
      return counts
    },

    async sandboxUids() {
      const rows = await db
        .selectFrom('sessions')
        .select('sandbox_uid')
        .where('sandbox_uid', 'is not', null)
        .where('state', '!=', 'deleted')
        .orderBy('sandbox_uid')
        .execute()
      return rows.map((row) => row.sandbox_uid as number)
    },
  }
}

/** The one other unique thing of a session: no two that are not deleted have the same host uid. */
async function uidTaken<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    if (error instanceof ConstraintError && error.constraint === 'unique')
      throw errors.conflict('another session has this sandbox uid: take one that is free')
    throw error
  }
}

function toColumns(session: Partial<Session>): Updateable<SessionColumns> {
  const {
    owner,
    usage,
    budgets,
    principal,
    allowed_paths,
    metadata,
    tools,
    auto_approve,
    limits,
    sandbox,
    secret_names,
    ...plain
  } = session
  const { has_setup, has_instructions, provisioned, ...same } = plain
  const columns: Updateable<SessionColumns> = {
    ...same,
    ...(owner && { owner_tenant_id: owner.tenant_id, owner_actor_id: owner.actor_id }),
    ...(usage && {
      usage_input_tokens: usage.input_tokens,
      usage_output_tokens: usage.output_tokens,
      usage_turns: usage.turns,
      usage_invocations: usage.invocations,
      usage_steps: usage.steps,
      usage_cost_usd: usage.cost_usd,
      usage_seconds: usage.seconds,
    }),
    ...(budgets && { budgets: toJson(budgets) }),
    ...(principal && { principal: toJson(principal) }),
    ...(allowed_paths && { allowed_paths: toJson(allowed_paths) }),
    ...(metadata && { metadata: toJson(metadata) }),
    ...(tools && { tools: toJson(tools) }),
    ...(auto_approve && { auto_approve: toJson(auto_approve) }),
    ...(limits && { limits: toJson(limits) }),
    ...(sandbox !== undefined && { sandbox: sandbox && toJson(sandbox) }),
    ...(secret_names && { secret_names: toJson(secret_names) }),
    ...(has_setup !== undefined && { has_setup: Number(has_setup) }),
    ...(has_instructions !== undefined && { has_instructions: Number(has_instructions) }),
    ...(provisioned !== undefined && { provisioned: Number(provisioned) }),
  }
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined))
}

function toSession(row: Selectable<SessionsTable>): Session {
  const at = (column: string) => `sessions.${column} of ${row.id}`
  return {
    id: row.id,
    name: row.name,
    state: row.state,
    state_reason: row.state_reason,
    owner: { tenant_id: row.owner_tenant_id, actor_id: row.owner_actor_id },
    principal: objectFromJson(row.principal, at('principal')),
    allowed_paths: arrayFromJson(row.allowed_paths, at('allowed_paths')),
    metadata: objectFromJson(row.metadata, at('metadata')),
    model: row.model,
    source_repo_path: row.source_repo_path,
    repo_url: row.repo_url,
    repo_ref: row.repo_ref,
    repo_auth_secret: row.repo_auth_secret,
    has_setup: row.has_setup !== 0,
    has_instructions: row.has_instructions !== 0,
    provisioned: row.provisioned !== 0,
    tools: objectFromJson(row.tools, at('tools')),
    auto_approve: arrayFromJson(row.auto_approve, at('auto_approve')),
    network: row.network,
    isolation_floor: row.isolation_floor,
    limits: objectFromJson(row.limits, at('limits')),
    sandbox: row.sandbox === null ? null : objectFromJson(row.sandbox, at('sandbox')),
    sandbox_uid: row.sandbox_uid,
    last_generation: row.last_generation,
    secret_names: arrayFromJson(row.secret_names, at('secret_names')),
    parent_session_id: row.parent_session_id,
    budgets: objectFromJson(row.budgets, at('budgets')),
    usage: {
      input_tokens: row.usage_input_tokens,
      output_tokens: row.usage_output_tokens,
      turns: row.usage_turns,
      invocations: row.usage_invocations,
      steps: row.usage_steps,
      cost_usd: row.usage_cost_usd,
      seconds: row.usage_seconds,
    },
    idle_timeout_seconds: row.idle_timeout_seconds,
    created_at: row.created_at,
    last_activity_at: row.last_activity_at,
    expires_at: row.expires_at,
    closed_at: row.closed_at,
  }
}

import type { Invocation } from '../../../domain/invocation.ts'
import { decodeCursor } from '../../cursor.ts'
import { toPage } from '../../page.ts'
import { checkPageLimit } from '../../page-limit.ts'
import { objectFromJson, toJson } from '../../sql/json-column.ts'
import type { SqlStore } from '../../sql/sql-store.ts'
import type { InvocationStore, Page, PageRequest } from '../../store.ts'

/**
 * Finished records in the `invocations` table of the store's own database, kept for ever. Called inside one of the store's
 * transactions it takes part in it.
 */
export class SqlInvocationStore implements InvocationStore {
  readonly kind = 'sql'
  readonly #store: SqlStore

  constructor(store: SqlStore) {
    this.#store = store
  }

  async put(record: Invocation): Promise<void> {
    const { id, session_id, tool_name, status, started_at } = record
    const row = { session_id, tool_name, status, started_at, record: toJson(record) }
    await this.#store
      .executor()
      .insertInto('invocations')
      .values({ id, ...row })
      .onConflict((oc) => oc.column('id').doUpdateSet(row))
      .execute()
  }

  async get(id: string): Promise<Invocation | null> {
    const row = await this.#store
      .executor()
      .selectFrom('invocations')
      .select(['id', 'record'])
      .where('id', '=', id)
      .executeTakeFirst()
    return row ? toInvocation(row) : null
  }

  async list(
    sessionId: string,
    filter: { tool?: string; status?: Invocation['status'] },
    page: PageRequest,
  ): Promise<Page<Invocation>> {
    checkPageLimit(page.limit)
    let query = this.#store
      .executor()
      .selectFrom('invocations')
      .select(['id', 'started_at', 'record'])
      .where('session_id', '=', sessionId)
    if (filter.tool !== undefined) query = query.where('tool_name', '=', filter.tool)
    if (filter.status !== undefined) query = query.where('status', '=', filter.status)
    if (page.cursor !== null) {
      const [at, id] = decodeCursor(page.cursor, ['string', 'string']) as [string, string]
      query = query.where((eb) => eb.or([eb('started_at', '<', at), eb.and([eb('started_at', '=', at), eb('id', '<', id)])]))
    }
    const rows = await query
      .orderBy('started_at', 'desc')
      .orderBy('id', 'desc')
      .limit(page.limit + 1)
      .execute()
    return toPage(rows, page.limit, (row) => [row.started_at, row.id], toInvocation)
  }

  async deleteSession(sessionId: string): Promise<void> {
    await this.#store.executor().deleteFrom('invocations').where('session_id', '=', sessionId).execute()
  }

  async ping(): Promise<void> {
    await this.#store.executor().selectFrom('invocations').select('id').limit(1).execute()
  }

  async close(): Promise<void> {}
}

function toInvocation(row: { id: string; record: string }): Invocation {
  return objectFromJson(row.record, `invocations.record of ${row.id}`)
}

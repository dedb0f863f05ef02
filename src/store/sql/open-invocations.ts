import type { Kysely, Selectable } from 'kysely'
import { errors } from '../../domain/errors.ts'
import type { OpenInvocation, Store } from '../store.ts'
import type { Database, OpenInvocationsTable } from './database.ts'
import { objectFromJson, toJson } from './json-column.ts'
import { inTransaction } from './transaction.ts'

/** Invocations that are not finished, and what every correlation id named. Both are in SQL whatever keeps the finished records. */
export function openInvocations(db: Kysely<Database>): Store['openInvocations'] {
  return {
    insert: ({ record, call }) =>
      inTransaction(db, async (tx) => {
        if (record.correlation_id !== null) {
          const { session_id, correlation_id, args_digest } = record
          const named = await tx
            .insertInto('correlations')
            .values({ session_id, correlation_id, invocation_id: record.id, args_digest })
            .onConflict((oc) => oc.columns(['session_id', 'correlation_id']).doNothing())
            .executeTakeFirst()
          if (named.numInsertedOrUpdatedRows === 0n)
            throw errors.conflict('the correlation id is taken in this session', { correlation_id })
        }
        const inserted = await tx
          .insertInto('open_invocations')
          .values({
            id: record.id,
            session_id: record.session_id,
            started_at: record.started_at,
            record: toJson(record),
            call: toJson(call),
          })
          .onConflict((oc) => oc.column('id').doNothing())
          .executeTakeFirst()
        if (inserted.numInsertedOrUpdatedRows === 0n) throw errors.conflict(`the invocation id ${record.id} is taken`)
      }),

    async get(id) {
      const row = await db.selectFrom('open_invocations').selectAll().where('id', '=', id).executeTakeFirst()
      return row ? toOpenInvocation(row) : null
    },

    async update(id, { record, call }) {
      const columns = { ...(record && { record: toJson(record) }), ...(call && { call: toJson(call) }) }
      if (Object.keys(columns).length === 0) return
      const updated = await db.updateTable('open_invocations').set(columns).where('id', '=', id).executeTakeFirst()
      if (updated.numUpdatedRows === 0n) throw errors.notFound('open invocation')
    },

    async remove(id) {
      await db.deleteFrom('open_invocations').where('id', '=', id).execute()
    },

    async ofSession(sessionId) {
      const rows = await db
        .selectFrom('open_invocations')
        .selectAll()
        .where('session_id', '=', sessionId)
        .orderBy('started_at')
        .orderBy('id')
        .execute()
      return rows.map(toOpenInvocation)
    },

    async all() {
      const rows = await db.selectFrom('open_invocations').selectAll().orderBy('started_at').orderBy('id').execute()
      return rows.map(toOpenInvocation)
    },

    async byCorrelation(sessionId, correlationId) {
      const row = await db
        .selectFrom('correlations')
        .select(['invocation_id', 'args_digest'])
        .where('session_id', '=', sessionId)
        .where('correlation_id', '=', correlationId)
        .executeTakeFirst()
      return row ?? null
    },

    async forgetCorrelation(sessionId, correlationId) {
      await db
        .deleteFrom('correlations')
        .where('session_id', '=', sessionId)
        .where('correlation_id', '=', correlationId)
        .execute()
    },
  }
}

function toOpenInvocation(row: Selectable<OpenInvocationsTable>): OpenInvocation {
  return {
    record: objectFromJson(row.record, `open_invocations.record of ${row.id}`),
    call: objectFromJson(row.call, `open_invocations.call of ${row.id}`),
  }
}

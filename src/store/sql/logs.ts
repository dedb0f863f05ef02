import type { Kysely } from 'kysely'
import { errors } from '../../domain/errors.ts'
import { decodeCursor } from '../cursor.ts'
import { toPage } from '../page.ts'
import type { Store } from '../store.ts'
import type { Database } from './database.ts'
import { inTransaction } from './transaction.ts'

/** Rows of one insert: six values each, far under the number of parameters that either database takes. */
const CHUNK = 200
const LOG_PAGE_LIMIT = 1000

export function logs(db: Kysely<Database>): Store['logs'] {
  return {
    append: (invocationId, lines) =>
      inTransaction(db, async (tx) => {
        if (lines.length === 0) return
        const sessionId = await sessionOf(tx, invocationId)
        if (sessionId === null) throw errors.notFound('invocation')
        const last = await tx
          .selectFrom('invocation_logs')
          .select((eb) => eb.fn.max('seq').as('seq'))
          .where('invocation_id', '=', invocationId)
          .executeTakeFirst()
        const before = Number(last?.seq ?? 0)
        const rows = lines.map(({ at, channel, message }, i) => ({
          invocation_id: invocationId,
          seq: before + 1 + i,
          session_id: sessionId,
          at,
          channel,
          message,
        }))
        for (let i = 0; i < rows.length; i += CHUNK)
          await tx
            .insertInto('invocation_logs')
            .values(rows.slice(i, i + CHUNK))
            .execute()
      }),

    async list(invocationId) {
      return db
        .selectFrom('invocation_logs')
        .select(['at', 'channel', 'message'])
        .where('invocation_id', '=', invocationId)
        .orderBy('seq')
        .execute()
    },

    async page(invocationId, { limit, cursor }) {
      if (!Number.isInteger(limit) || limit < 1 || limit > LOG_PAGE_LIMIT)
        throw errors.invalidArgument(`a page holds 1 to ${LOG_PAGE_LIMIT} lines`, [
          { path: 'limit', reason: `must be 1 to ${LOG_PAGE_LIMIT}` },
        ])
      const after = cursor === null ? 0 : (decodeCursor(cursor, ['number'])[0] as number)
      const rows = await db
        .selectFrom('invocation_logs')
        .select(['seq', 'at', 'channel', 'message'])
        .where('invocation_id', '=', invocationId)
        .where('seq', '>', after)
        .orderBy('seq')
        .limit(limit + 1)
        .execute()
      return toPage(
        rows,
        limit,
        ({ seq }) => [seq],
        ({ at, channel, message }) => ({ at, channel, message }),
      )
    },

    async deleteSession(sessionId) {
      const deleted = await db.deleteFrom('invocation_logs').where('session_id', '=', sessionId).executeTakeFirst()
      return Number(deleted.numDeletedRows)
    },
  }
}

/** Whose invocation this is: an open one, one that has lines already, or a finished one whose record is in this database. */
async function sessionOf(tx: Kysely<Database>, invocationId: string): Promise<string | null> {
  for (const [table, column] of [
    ['open_invocations', 'id'],
    ['invocation_logs', 'invocation_id'],
    ['invocations', 'id'],
  ] as const) {
    const row = await tx
      .selectFrom(table)
      .select('session_id')
      .where(tx.dynamic.ref(column), '=', invocationId)
      .limit(1)
      .executeTakeFirst()
    if (row) return row.session_id
  }
  return null
}

import type { Kysely, Selectable } from 'kysely'
import { errors } from '../../domain/errors.ts'
import type { Message } from '../../domain/message.ts'
import { decodeCursor } from '../cursor.ts'
import { toPage } from '../page.ts'
import { checkPageLimit } from '../page-limit.ts'
import type { Store } from '../store.ts'
import type { Database, MessagesTable } from './database.ts'
import { objectFromJson, toJson } from './json-column.ts'
import { inTransaction } from './transaction.ts'

export function messages(db: Kysely<Database>): Store['messages'] {
  return {
    insert: (message) =>
      inTransaction(db, async (tx) => {
        const session = await tx
          .updateTable('sessions')
          .set((eb) => ({ message_seq: eb('message_seq', '+', 1) }))
          .where('id', '=', message.session_id)
          .returning('message_seq')
          .executeTakeFirst()
        if (!session) throw errors.notFound('session')
        const row = { ...message, seq: session.message_seq, usage: message.usage && toJson(message.usage) }
        const inserted = await tx
          .insertInto('messages')
          .values(row)
          .onConflict((oc) => oc.column('id').doNothing())
          .executeTakeFirst()
        if (inserted.numInsertedOrUpdatedRows === 0n) throw errors.conflict(`the message id ${message.id} is taken`)
        return toMessage(row)
      }),

    async list(sessionId, page) {
      checkPageLimit(page.limit)
      let query = db.selectFrom('messages').selectAll().where('session_id', '=', sessionId)
      if (page.cursor !== null) query = query.where('seq', '>', decodeCursor(page.cursor, ['number'])[0] as number)
      const rows = await query
        .orderBy('seq')
        .limit(page.limit + 1)
        .execute()
      return toPage(rows, page.limit, (row) => [row.seq], toMessage)
    },

    async all(sessionId) {
      const rows = await db.selectFrom('messages').selectAll().where('session_id', '=', sessionId).orderBy('seq').execute()
      return rows.map(toMessage)
    },

    async queued(sessionId) {
      const rows = await db
        .selectFrom('messages')
        .selectAll()
        .where('session_id', '=', sessionId)
        .where('role', '=', 'user')
        .where('turn_id', 'is', null)
        .orderBy('seq')
        .execute()
      return rows.map(toMessage)
    },

    async markTaken(messageIds, turnId) {
      if (messageIds.length === 0) return
      await db.updateTable('messages').set({ turn_id: turnId }).where('id', 'in', messageIds).execute()
    },

    async sessionsWithQueued() {
      const rows = await db
        .selectFrom('messages')
        .innerJoin('sessions', 'sessions.id', 'messages.session_id')
        .select('messages.session_id')
        .distinct()
        .where('messages.role', '=', 'user')
        .where('messages.turn_id', 'is', null)
        .where('sessions.state', '!=', 'deleted')
        .orderBy('messages.session_id')
        .execute()
      return rows.map((row) => row.session_id)
    },
  }
}

function toMessage(row: Selectable<MessagesTable>): Message {
  return { ...row, usage: row.usage === null ? null : objectFromJson(row.usage, `messages.usage of ${row.id}`) }
}

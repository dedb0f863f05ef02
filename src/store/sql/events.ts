import { setImmediate } from 'node:timers/promises'
import type { Kysely, Selectable } from 'kysely'
import { canonicalJson } from '../../domain/canonical-json.ts'
import { errors } from '../../domain/errors.ts'
import { type ChainVerdict, ChainVerifier, type Event, eventHash } from '../../domain/event.ts'
import type { Store } from '../store.ts'
import type { Database, EventsTable } from './database.ts'
import { ConstraintError } from './database-error.ts'
import { objectFromJson } from './json-column.ts'
import { inTransaction } from './transaction.ts'

/** Rows that `verify` reads at a time. */
const CHUNK = 500

export function events(db: Kysely<Database>): Store['events'] {
  return {
    append: (sessionId, event) =>
      inTransaction(db, async (tx) => {
        // The row is locked by this update, so that nobody else gets the same seq. The hash is still its predecessor's.
        const session = await tx
          .updateTable('sessions')
          .set((eb) => ({ event_seq: eb('event_seq', '+', 1) }))
          .where('id', '=', sessionId)
          .returning(['event_seq', 'event_hash'])
          .executeTakeFirst()
        if (!session) throw errors.notFound('session')
        const actor = canonicalJson(event.actor)
        const data = canonicalJson(event.data)
        // Hashed as it will be read, so that what JSON cannot tell apart cannot break the chain.
        const unsealed: Omit<Event, 'hash'> = {
          session_id: sessionId,
          seq: session.event_seq,
          type: event.type,
          at: event.at,
          actor: JSON.parse(actor),
          data: JSON.parse(data),
          prev_hash: session.event_hash,
        }
        const hash = eventHash(unsealed)
        try {
          await tx
            .insertInto('events')
            .values({ ...unsealed, actor, data, hash })
            .execute()
        } catch (error) {
          if (!(error instanceof ConstraintError)) throw error
          throw errors.internal(`the log of session ${sessionId} holds an event that nobody appended: verify it`, error)
        }
        await tx.updateTable('sessions').set({ event_hash: hash }).where('id', '=', sessionId).execute()
        return { ...unsealed, hash }
      }),

    async list(sessionId, after, limit) {
      const rows = await db
        .selectFrom('events')
        .selectAll()
        .where('session_id', '=', sessionId)
        .where('seq', '>', after)
        .orderBy('seq')
        .limit(limit)
        .execute()
      return rows.map(toEvent)
    },

    async lastSeq(sessionId) {
      const row = await db.selectFrom('sessions').select('event_seq').where('id', '=', sessionId).executeTakeFirst()
      return row?.event_seq ?? 0
    },

    async verify(sessionId) {
      const chain = new ChainVerifier()
      const reader = new RowReader(sessionId)
      // What is written is never changed, so most of the log is read without keeping others out; only its end, and what the
      // session says of it, must be of one moment.
      for (;;) {
        const rows = await reader.next(db)
        const broken = check(chain, rows)
        if (broken) return broken
        if (rows.length < CHUNK) break
        await setImmediate()
      }
      return inTransaction(db, async (tx) => {
        for (;;) {
          const rows = await reader.next(tx)
          const broken = check(chain, rows)
          if (broken) return broken
          if (rows.length < CHUNK) break
        }
        const session = await tx
          .selectFrom('sessions')
          .select(['event_seq', 'event_hash'])
          .where('id', '=', sessionId)
          .executeTakeFirst()
        if (!session) throw errors.notFound('session')
        return chain.end({ seq: session.event_seq, hash: session.event_hash })
      })
    },
  }
}

/** Reads the rows of one log in order, also those with a seq that no append could have given. */
class RowReader {
  readonly #sessionId: string
  #last: number | null = null

  constructor(sessionId: string) {
    this.#sessionId = sessionId
  }

  async next(db: Kysely<Database>): Promise<Selectable<EventsTable>[]> {
    let query = db.selectFrom('events').selectAll().where('session_id', '=', this.#sessionId)
    if (this.#last !== null) query = query.where('seq', '>', this.#last)
    const rows = await query.orderBy('seq').limit(CHUNK).execute()
    this.#last = rows.at(-1)?.seq ?? this.#last
    return rows
  }
}

function check(chain: ChainVerifier, rows: Selectable<EventsTable>[]): ChainVerdict | null {
  for (const row of rows) {
    let event: Event | null
    try {
      event = toEvent(row)
    } catch {
      event = null
    }
    const broken = event ? chain.add(event) : chain.addUnreadable(row.seq)
    if (broken) return broken
  }
  return null
}

function toEvent(row: Selectable<EventsTable>): Event {
  const at = (column: string) => `events.${column} of ${row.session_id}, event ${row.seq}`
  return {
    ...row,
    actor: objectFromJson(row.actor, at('actor')),
    data: objectFromJson(row.data, at('data')),
  }
}

import type { Kysely, Selectable } from 'kysely'
import { errors } from '../../domain/errors.ts'
import type { OpenTurn, Store } from '../store.ts'
import type { Database, OpenTurnsTable } from './database.ts'
import { arrayFromJson, objectFromJson, toJson } from './json-column.ts'

export function turns(db: Kysely<Database>): Store['turns'] {
  return {
    async insert(turn) {
      const inserted = await db
        .insertInto('open_turns')
        .values({
          ...turn,
          interrupted: Number(turn.interrupted),
          transcript: toJson(turn.transcript),
          spent: toJson(turn.spent),
        })
        .onConflict((oc) => oc.column('session_id').doNothing())
        .executeTakeFirst()
      if (inserted.numInsertedOrUpdatedRows === 0n)
        throw errors.conflict('the session already has a turn that is not over', { session_id: turn.session_id })
    },

    async update(id, fields) {
      const { interrupted, transcript, spent, ...same } = fields
      const columns = {
        ...same,
        ...(interrupted !== undefined && { interrupted: Number(interrupted) }),
        ...(transcript !== undefined && { transcript: toJson(transcript) }),
        ...(spent !== undefined && { spent: toJson(spent) }),
      }
      if (Object.keys(columns).length === 0) return
      const updated = await db.updateTable('open_turns').set(columns).where('id', '=', id).executeTakeFirst()
      if (updated.numUpdatedRows === 0n) throw errors.notFound('turn')
    },

    async remove(id) {
      await db.deleteFrom('open_turns').where('id', '=', id).execute()
    },

    async ofSession(sessionId) {
      const row = await db.selectFrom('open_turns').selectAll().where('session_id', '=', sessionId).executeTakeFirst()
      return row ? toTurn(row) : null
    },

    async all() {
      const rows = await db.selectFrom('open_turns').selectAll().orderBy('started_at').orderBy('id').execute()
      return rows.map(toTurn)
    },
  }
}

function toTurn(row: Selectable<OpenTurnsTable>): OpenTurn {
  return {
    ...row,
    interrupted: row.interrupted !== 0,
    transcript: arrayFromJson(row.transcript, `open_turns.transcript of ${row.id}`),
    spent: objectFromJson(row.spent, `open_turns.spent of ${row.id}`),
  }
}

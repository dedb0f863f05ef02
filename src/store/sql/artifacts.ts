import type { Kysely } from 'kysely'
import { errors } from '../../domain/errors.ts'
import { pageOfList } from '../page-of-list.ts'
import type { Store } from '../store.ts'
import type { Database } from './database.ts'

const COLUMNS = ['id', 'name', 'content_type', 'size_bytes', 'sha256', 'created_at'] as const

export function artifacts(db: Kysely<Database>): Store['artifacts'] {
  const repository: Store['artifacts'] = {
    async insert(artifact) {
      const { id, invocation_id, session_id, name, content_type, size_bytes, sha256, created_at } = artifact
      const inserted = await db
        .insertInto('artifacts')
        .values({ id, invocation_id, session_id, name, content_type, size_bytes, sha256, created_at })
        .onConflict((oc) => oc.column('id').doNothing())
        .executeTakeFirst()
      if (inserted.numInsertedOrUpdatedRows === 0n) throw errors.conflict(`the artifact id ${id} is taken`)
    },

    async ofInvocation(invocationId) {
      return db.selectFrom('artifacts').select(COLUMNS).where('invocation_id', '=', invocationId).orderBy('id').execute()
    },

    page: async (invocationId, page) => pageOfList(await repository.ofInvocation(invocationId), ({ id }) => [id, ''], page),

    async get(invocationId, id) {
      const row = await db
        .selectFrom('artifacts')
        .select([...COLUMNS, 'session_id'])
        .where('invocation_id', '=', invocationId)
        .where('id', '=', id)
        .executeTakeFirst()
      return row ?? null
    },

    async ofSession(sessionId, limit) {
      return db
        .selectFrom('artifacts')
        .select(COLUMNS)
        .where('session_id', '=', sessionId)
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
    },

    async inSession(sessionId, id) {
      const row = await db
        .selectFrom('artifacts')
        .select([...COLUMNS, 'invocation_id'])
        .where('session_id', '=', sessionId)
        .where('id', '=', id)
        .executeTakeFirst()
      return row ?? null
    },

    async bytesOfSession(sessionId) {
      const row = await db
        .selectFrom('artifacts')
        .select(({ fn }) => fn.sum<number | null>('size_bytes').as('bytes'))
        .where('session_id', '=', sessionId)
        .executeTakeFirst()
      return Number(row?.bytes ?? 0)
    },

    async deleteSession(sessionId) {
      const deleted = await db.deleteFrom('artifacts').where('session_id', '=', sessionId).executeTakeFirst()
      return Number(deleted.numDeletedRows)
    },
  }
  return repository
}

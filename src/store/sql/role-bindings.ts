import type { Kysely } from 'kysely'
import { pageOfList } from '../page-of-list.ts'
import type { Store } from '../store.ts'
import type { Database } from './database.ts'

export function roleBindings(db: Kysely<Database>): Store['roleBindings'] {
  const repository: Store['roleBindings'] = {
    /** Again is no error, and keeps the time of the first. */
    async put({ principal, role_name, created_at }) {
      await db
        .insertInto('role_bindings')
        .values({ principal, role_name, created_at })
        .onConflict((oc) => oc.columns(['principal', 'role_name']).doNothing())
        .execute()
    },

    async list() {
      return db.selectFrom('role_bindings').selectAll().orderBy('principal').orderBy('role_name').execute()
    },

    page: async (page) => pageOfList(await repository.list(), ({ principal, role_name }) => [principal, role_name], page),

    async of(principal) {
      const rows = await db
        .selectFrom('role_bindings')
        .select('role_name')
        .where('principal', '=', principal)
        .orderBy('role_name')
        .execute()
      return rows.map((row) => row.role_name)
    },

    async delete(principal, roleName) {
      const deleted = await db
        .deleteFrom('role_bindings')
        .where('principal', '=', principal)
        .where('role_name', '=', roleName)
        .executeTakeFirst()
      return deleted.numDeletedRows > 0n
    },
  }
  return repository
}

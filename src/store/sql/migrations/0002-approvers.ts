import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Approvals say who may approve. Those from before: the session's owner or an admin, as it was then. */
export const approvers: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('approvals')
      .addColumn('approvers', 'text', (c) => c.notNull().defaultTo('[["owner","admin"]]'))
      .execute()
  },
}

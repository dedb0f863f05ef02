import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What an administrator reviewed of connectors' tools, and which of them offer something else since. */
export const connectors: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('connector_reviews')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('connector', 'text', (c) => c.notNull())
      .addColumn('source_digest', 'text', (c) => c.notNull())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('tools', 'text', (c) => c.notNull())
      .addColumn('reviewed_by', 'text', (c) => c.notNull())
      .addColumn('reviewed_at', 'text', (c) => c.notNull())
      .execute()
    await db.schema.createIndex('connector_reviews_by_connector').on('connector_reviews').columns(['connector', 'id']).execute()
    await db.schema
      .createTable('connector_flags')
      .addColumn('connector', 'text', (c) => c.primaryKey())
      .addColumn('digest', 'text', (c) => c.notNull())
      .addColumn('differences', 'text', (c) => c.notNull())
      .addColumn('session_id', 'text')
      .addColumn('flagged_at', 'text', (c) => c.notNull())
      .execute()
  },
}

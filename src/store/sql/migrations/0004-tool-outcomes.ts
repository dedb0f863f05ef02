import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** How calls ended, counted by tenant, tool and day, so that tools can be judged by their record. Counts begin with this version. */
export const toolOutcomes: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('tool_outcomes')
      .addColumn('tenant_id', 'text', (c) => c.notNull())
      .addColumn('tool_name', 'text', (c) => c.notNull())
      .addColumn('day', 'text', (c) => c.notNull())
      .addColumn('outcome', 'text', (c) => c.notNull())
      .addColumn('duration_bucket', 'integer', (c) => c.notNull())
      .addColumn('count', 'integer', (c) => c.notNull())
      .addPrimaryKeyConstraint('tool_outcomes_pk', ['tenant_id', 'tool_name', 'day', 'outcome', 'duration_bucket'])
      .execute()
    await db.schema.createIndex('tool_outcomes_day').on('tool_outcomes').column('day').execute()
  },
}

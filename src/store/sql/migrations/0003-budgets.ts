import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

const NONE = '{"steps":null,"tokens":null,"cost_usd":null,"seconds":null}'

/** Sessions and turns know what their agent used, and may use. Those from before have no limit of their own. */
export const budgets: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('sessions')
      .addColumn('budgets', 'text', (c) => c.notNull().defaultTo(`{"turn":${NONE},"session":${NONE}}`))
      .execute()
    await db.schema
      .alterTable('sessions')
      .addColumn('usage_steps', 'bigint', (c) => c.notNull().defaultTo(0))
      .execute()
    for (const column of ['usage_cost_usd', 'usage_seconds'])
      await db.schema
        .alterTable('sessions')
        .addColumn(column, 'double precision', (c) => c.notNull().defaultTo(0))
        .execute()
    await db.schema
      .alterTable('open_turns')
      .addColumn('spent', 'text', (c) => c.notNull().defaultTo('{"steps":0,"tokens":0,"cost_usd":0,"seconds":0}'))
      .execute()
  },
}

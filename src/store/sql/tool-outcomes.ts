import { type Kysely, sql } from 'kysely'
import type { Store } from '../store.ts'
import type { Database } from './database.ts'

/** How calls ended, as counts: some hundred rows a tenant, whatever the number of calls. */
export function toolOutcomes(db: Kysely<Database>): Store['toolOutcomes'] {
  return {
    async count(sessionId, { tool_name, outcome, duration_bucket, day }) {
      // The tenant comes from the session in the same statement: it costs the end of a call one write, and no read.
      await db
        .insertInto('tool_outcomes')
        .columns(['tenant_id', 'tool_name', 'day', 'outcome', 'duration_bucket', 'count'])
        .expression(
          db
            .selectFrom('sessions')
            .select([
              'owner_tenant_id',
              sql<string>`${tool_name}`.as('tool_name'),
              sql<string>`${day}`.as('day'),
              sql<typeof outcome>`${outcome}`.as('outcome'),
              sql<number>`${duration_bucket}`.as('duration_bucket'),
              sql<number>`1`.as('count'),
            ])
            .where('id', '=', sessionId),
        )
        .onConflict((oc) =>
          oc
            .columns(['tenant_id', 'tool_name', 'day', 'outcome', 'duration_bucket'])
            .doUpdateSet(({ eb, ref }) => ({ count: eb(ref('tool_outcomes.count'), '+', 1) })),
        )
        .execute()
    },

    async ofTenant(tenantId, fromDay) {
      const rows = await db
        .selectFrom('tool_outcomes')
        .select(['tool_name', 'outcome', 'duration_bucket', ({ fn }) => fn.sum<number>('count').as('count')])
        .where('tenant_id', '=', tenantId)
        .where('day', '>=', fromDay)
        .groupBy(['tool_name', 'outcome', 'duration_bucket'])
        .execute()
      return rows.map((row) => ({ ...row, count: Number(row.count) }))
    },

    async deleteBefore(day) {
      await db.deleteFrom('tool_outcomes').where('day', '<', day).execute()
    },
  }
}

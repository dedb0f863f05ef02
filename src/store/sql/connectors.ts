import type { Kysely } from 'kysely'
import type { ListedTool, ToolDifference } from '../../domain/connector.ts'
import type { Store } from '../store.ts'
import type { Database } from './database.ts'
import { arrayFromJson, toJson } from './json-column.ts'

export function connectors(db: Kysely<Database>): Store['connectors'] {
  return {
    async insertReview(review) {
      await db
        .insertInto('connector_reviews')
        .values({ ...review, tools: toJson(review.tools) })
        .execute()
    },

    async latestReviews() {
      const rows = await db
        .selectFrom('connector_reviews')
        .selectAll()
        .where('id', 'in', (eb) =>
          eb
            .selectFrom('connector_reviews')
            .select(({ fn }) => fn.max<string>('id').as('id'))
            .groupBy('connector'),
        )
        .orderBy('connector')
        .execute()
      return rows.map((row) => ({ ...row, tools: arrayFromJson<ListedTool>(row.tools, `connector_reviews ${row.id} tools`) }))
    },

    async reviews(connector, limit) {
      return db
        .selectFrom('connector_reviews')
        .select(['id', 'connector', 'source_digest', 'digest', 'reviewed_by', 'reviewed_at'])
        .where('connector', '=', connector)
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
    },

    async flag(flag) {
      const row = { ...flag, differences: toJson(flag.differences) }
      await db
        .insertInto('connector_flags')
        .values(row)
        .onConflict((oc) => oc.column('connector').doUpdateSet(row))
        .execute()
    },

    async flags() {
      const rows = await db.selectFrom('connector_flags').selectAll().orderBy('connector').execute()
      return rows.map((row) => ({
        ...row,
        differences: arrayFromJson<ToolDifference>(row.differences, `connector_flags ${row.connector} differences`),
      }))
    },

    async unflag(connector) {
      await db.deleteFrom('connector_flags').where('connector', '=', connector).execute()
    },
  }
}

import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What a session's artifacts have together is asked whenever one is kept; their ids when they are listed. */
export const artifactsBySession: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.createIndex('artifacts_by_session').on('artifacts').columns(['session_id', 'id', 'size_bytes']).execute()
  },
}

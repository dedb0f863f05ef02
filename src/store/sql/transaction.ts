import type { Kysely } from 'kysely'
import type { Database } from './database.ts'

/** Runs `work` in the transaction at hand, or in one of its own. */
export function inTransaction<T>(db: Kysely<Database>, work: (tx: Kysely<Database>) => Promise<T>): Promise<T> {
  return db.isTransaction ? work(db) : db.transaction().execute(work)
}

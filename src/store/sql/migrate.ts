import { type Kysely, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { CloisterError, errors } from '../../domain/errors.ts'
import { initial } from './migrations/0001-initial.ts'
import { approvers } from './migrations/0002-approvers.ts'
import { budgets } from './migrations/0003-budgets.ts'
import { toolOutcomes } from './migrations/0004-tool-outcomes.ts'
import { artifactsBySession } from './migrations/0005-artifacts-by-session.ts'
import { connectors } from './migrations/0006-connectors.ts'

/** In order. A migration that was released is never changed: add the next number. */
export const MIGRATIONS: Record<string, Migration> = {
  '0001-initial': initial,
  '0002-approvers': approvers,
  '0003-budgets': budgets,
  '0004-tool-outcomes': toolOutcomes,
  '0005-artifacts-by-session': artifactsBySession,
  '0006-connectors': connectors,
}

const TABLE = 'schema_migrations'

/**
 * Brings the schema up to date, all in one transaction.
 * @throws CloisterError `store_unavailable` when the database was written by a newer Cloister: guessing could destroy it
 */
export async function migrate(db: Kysely<unknown>, migrations: Record<string, Migration> = MIGRATIONS): Promise<void> {
  await refuseNewer(db, migrations)
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
    migrationTableName: TABLE,
    migrationLockTableName: `${TABLE}_lock`,
  })
  const { error } = await migrator.migrateToLatest()
  if (error instanceof CloisterError) throw error
  if (error) throw errors.storeUnavailable(`the database could not be brought up to date: ${messageOf(error)}`, error)
}

async function refuseNewer(db: Kysely<unknown>, migrations: Record<string, Migration>): Promise<void> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some((table) => table.name === TABLE)) return
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(TABLE)} order by name`.execute(db)
  const unknown = rows.map((row) => row.name).filter((name) => !Object.hasOwn(migrations, name))
  if (unknown.length > 0)
    throw errors.storeUnavailable(
      `the database was written by a newer Cloister (it knows the migrations ${unknown.join(', ')}, this one does not): start that version, or restore a backup made before the upgrade`,
    )
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

import { chmodSync, closeSync, constants, existsSync, fchmodSync, fstatSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { errors } from '../../domain/errors.ts'
import type { Database } from './database.ts'
import { migrate } from './migrate.ts'
import { NodeSqliteDialect } from './node-sqlite-dialect.ts'
import { translateSqliteError } from './node-sqlite-error.ts'
import { SqlStore } from './sql-store.ts'
import { TransactionScopes } from './transaction-scopes.ts'

export interface SqliteStoreOptions {
  /** How long a statement waits for another process (a backup), in ms. It blocks the whole server meanwhile. Default 5000. */
  busyTimeoutMs?: number
}

/**
 * Opens the database file, made when there is none, and brings its schema up to date. What a method of the store acknowledged
 * survives a power cut (WAL, synchronous=FULL). The file is private to the server's user (0600).
 * @throws CloisterError `store_unavailable`: not a database, another owner's, written by a newer Cloister, no room
 */
export async function openSqliteStore(file: string, { busyTimeoutMs = 5000 }: SqliteStoreOptions = {}): Promise<SqlStore> {
  makePrivate(file)
  const database = openDatabase(file, busyTimeoutMs)
  const scopes = new TransactionScopes()
  const dialect = new NodeSqliteDialect(database, () => scopes.refuseInside())
  const db = new Kysely<Database>({ dialect })
  try {
    await migrate(db as unknown as Kysely<unknown>)
  } catch (error) {
    await dialect.close()
    throw error
  }
  return new SqlStore({ db, scopes, close: () => dialect.close() })
}

function openDatabase(file: string, timeout: number): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { timeout, enableForeignKeyConstraints: true, defensive: true })
    database.exec('pragma journal_mode = wal')
    database.exec('pragma synchronous = full')
    database.exec('pragma trusted_schema = off')
    return database
  } catch (error) {
    database?.close()
    throw translateSqliteError(error)
  }
}

/** Password hashes and conversations are in it. SQLite gives `-wal` and `-shm` the mode of the file. */
function makePrivate(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
    try {
      if (fstatSync(descriptor).uid !== process.geteuid?.())
        throw errors.storeUnavailable('the database file belongs to another user: run as that user, or give the file to this one')
      fchmodSync(descriptor, 0o600)
    } finally {
      closeSync(descriptor)
    }
    for (const companion of [`${file}-wal`, `${file}-shm`]) if (existsSync(companion)) chmodSync(companion, 0o600)
  } catch (error) {
    if (!(error instanceof Error) || !('syscall' in error)) throw error
    throw errors.storeUnavailable(`the database file cannot be opened: ${error.message}`, error)
  }
}

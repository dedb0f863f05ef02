import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import {
  CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { errors } from '../../domain/errors.ts'
import { translateSqliteError } from './node-sqlite-error.ts'

/** Prepared statements that are kept. Ours are some hundred; inserts of several rows add a few. */
const STATEMENTS = 300

/**
 * Kysely on node:sqlite: one connection, given out to one user at a time in the order of asking. Kysely's own SQLite dialect wants
 * better-sqlite3 and begins transactions deferred, which can fail halfway with "locked" when they turn from reading to writing.
 */
export class NodeSqliteDialect implements Dialect {
  readonly #driver: NodeSqliteDriver

  /**
   * @param beforeAcquire called when somebody asks for the connection; what it throws refuses
   */
  constructor(database: DatabaseSync, beforeAcquire: () => void = () => {}) {
    this.#driver = new NodeSqliteDriver(database, beforeAcquire)
  }

  /** Waits for whoever has the connection, then closes it. Who asks afterwards gets `store_unavailable`. */
  close(): Promise<void> {
    return this.#driver.destroy()
  }

  createDriver(): Driver {
    return this.#driver
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler()
  }

  createAdapter(): DialectAdapter {
    return new NodeSqliteAdapter()
  }

  // biome-ignore lint/suspicious/noExplicitAny: Kysely's own signature
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new SqliteIntrospector(db)
  }
}

class NodeSqliteAdapter extends SqliteAdapter {
  /** So says ours, and not Kysely: its own lock would wait for itself in silence where `beforeAcquire` can refuse. */
  override get supportsMultipleConnections(): boolean {
    return true
  }

  /** SQLite has it; a migration that fails leaves nothing behind. */
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

class NodeSqliteDriver implements Driver {
  readonly #database: DatabaseSync
  readonly #connection: NodeSqliteConnection
  readonly #beforeAcquire: () => void
  #tail: Promise<void> = Promise.resolve()
  #release: () => void = () => {}
  #closed = false

  constructor(database: DatabaseSync, beforeAcquire: () => void) {
    this.#database = database
    this.#connection = new NodeSqliteConnection(database)
    this.#beforeAcquire = beforeAcquire
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    this.#beforeAcquire()
    await this.#lock()
    if (!this.#closed) return this.#connection
    this.#release()
    throw errors.storeUnavailable('the store is closed')
  }

  async releaseConnection(): Promise<void> {
    this.#release()
  }

  /** At once for writing: two processes cannot both begin to read and then wait for each other. */
  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }

  /** SQLite ends a transaction by itself on some errors (disk full): a rollback would then fail and hide the cause. */
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.isTransaction) await connection.executeQuery(CompiledQuery.raw('rollback'))
  }

  async destroy(): Promise<void> {
    await this.#lock()
    if (!this.#closed) {
      this.#closed = true
      this.#database.close()
    }
    this.#release()
  }

  async #lock(): Promise<void> {
    const before = this.#tail
    let release = () => {}
    this.#tail = new Promise((resolve) => {
      release = resolve
    })
    await before
    this.#release = release
  }
}

class NodeSqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, { statement: StatementSync; reads: boolean }>()

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    try {
      const { statement, reads } = this.#prepare(sql)
      const values = parameters as readonly SQLInputValue[]
      if (reads) return { rows: statement.all(...values) as R[] }
      const { changes } = statement.run(...values)
      return { rows: [], numAffectedRows: BigInt(changes) }
    } catch (error) {
      throw translateSqliteError(error)
    }
  }

  // biome-ignore lint/correctness/useYield: refuses
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('the only connection cannot be held by a stream: read pages')
  }

  #prepare(sql: string) {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#database.prepare(sql)
    const prepared = { statement, reads: statement.columns().length > 0 }
    this.#statements.set(sql, prepared)
    if (this.#statements.size > STATEMENTS) this.#statements.delete(this.#statements.keys().next().value as string)
    return prepared
  }
}

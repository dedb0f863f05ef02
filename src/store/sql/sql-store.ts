import { type Kysely, sql } from 'kysely'
import type { Store } from '../store.ts'
import { apiTokens } from './api-tokens.ts'
import { approvals } from './approvals.ts'
import { artifacts } from './artifacts.ts'
import { connectors } from './connectors.ts'
import type { Database } from './database.ts'
import { events } from './events.ts'
import { logs } from './logs.ts'
import { messages } from './messages.ts'
import { openInvocations } from './open-invocations.ts'
import { roleBindings } from './role-bindings.ts'
import { sessions } from './sessions.ts'
import { toolOutcomes } from './tool-outcomes.ts'
import type { TransactionScopes } from './transaction-scopes.ts'
import { turns } from './turns.ts'
import { users } from './users.ts'

export interface SqlStoreOptions {
  db: Kysely<Database>
  scopes: TransactionScopes
  /** Ends the connection for good. */
  close: () => Promise<void>
}

/**
 * The store on a SQL database: the repositories, and transactions around them. Which database it is, only the dialect under `db`
 * knows.
 *
 * Inside `transaction` use the `tx` that the callback gets. The outer store would wait for the transaction it is called from: it
 * throws instead. A transaction in a transaction is a savepoint: what throws undoes its own part only; two at once are refused.
 */
export class SqlStore implements Store {
  readonly sessions: Store['sessions']
  readonly events: Store['events']
  readonly messages: Store['messages']
  readonly turns: Store['turns']
  readonly openInvocations: Store['openInvocations']
  readonly approvals: Store['approvals']
  readonly artifacts: Store['artifacts']
  readonly logs: Store['logs']
  readonly toolOutcomes: Store['toolOutcomes']
  readonly connectors: Store['connectors']
  readonly users: Store['users']
  readonly roleBindings: Store['roleBindings']
  readonly apiTokens: Store['apiTokens']
  readonly #options: SqlStoreOptions
  /** 0: not in a transaction. */
  readonly #depth: number
  #nested = false

  constructor(options: SqlStoreOptions, depth = 0) {
    const { db } = options
    this.#options = options
    this.#depth = depth
    this.sessions = sessions(db)
    this.events = events(db)
    this.messages = messages(db)
    this.turns = turns(db)
    this.openInvocations = openInvocations(db)
    this.approvals = approvals(db)
    this.artifacts = artifacts(db)
    this.logs = logs(db)
    this.toolOutcomes = toolOutcomes(db)
    this.connectors = connectors(db)
    this.users = users(db)
    this.roleBindings = roleBindings(db)
    this.apiTokens = apiTokens(db)
  }

  async transaction<T>(work: (tx: Store) => Promise<T>): Promise<T> {
    if (this.#depth > 0) return this.#savepoint(work)
    const { db, scopes } = this.#options
    return db.transaction().execute((tx) => scopes.run(tx, () => work(new SqlStore({ ...this.#options, db: tx }, 1))))
  }

  async ping(): Promise<void> {
    await sql`select 1`.execute(this.#options.db)
  }

  /** Waits for what runs. Afterwards every method throws `store_unavailable`. */
  async close(): Promise<void> {
    if (this.#depth > 0) throw new Error('a transaction cannot close the store')
    await this.#options.close()
  }

  /** For stores that share the database (invocation-store/sql): the transaction around the calling code, else the database. */
  executor(): Kysely<Database> {
    return this.#options.scopes.current() ?? this.#options.db
  }

  async #savepoint<T>(work: (tx: Store) => Promise<T>): Promise<T> {
    if (this.#nested) throw new Error('two transactions at once inside one: run them one after the other')
    const { db } = this.#options
    const name = sql.id(`nested_${this.#depth}`)
    this.#nested = true
    try {
      await sql`savepoint ${name}`.execute(db)
      try {
        const result = await work(new SqlStore(this.#options, this.#depth + 1))
        await sql`release savepoint ${name}`.execute(db)
        return result
      } catch (error) {
        await sql`rollback to savepoint ${name}`.execute(db)
        await sql`release savepoint ${name}`.execute(db)
        throw error
      }
    } finally {
      this.#nested = false
    }
  }
}

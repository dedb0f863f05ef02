import { Redis } from 'iovalkey'
import { CloisterError, errors } from '../../../domain/errors.ts'
import type { Invocation } from '../../../domain/invocation.ts'
import { decodeCursor } from '../../cursor.ts'
import { toPage } from '../../page.ts'
import { checkPageLimit } from '../../page-limit.ts'
import { objectFromJson } from '../../sql/json-column.ts'
import type { InvocationStore, Page, PageRequest } from '../../store.ts'
import { CLEAN, DELETE, PUT } from './scripts.ts'

export interface ValkeyInvocationStoreOptions {
  host: string
  port: number
  /** Number of the logical database. */
  db: number
  /** Absent: the server asks for none. */
  password?: string | undefined
  /** Every key begins with it and a colon: several servers may share a database. */
  keyPrefix: string
  /** How long a record is kept after it was put, in seconds. */
  ttlSeconds: number
  /** A server that says nothing for so long, in ms, is away; default 2000. It is called inside transactions, which must not wait long. */
  timeoutMs?: number
}

/** Members that a list looks at in one go: records may be hundreds of kilobytes each. */
const CHUNK = 50
/** Waits between attempts to connect again, in ms. */
const RETRY_FIRST = 50
const RETRY_LONGEST = 1000

/**
 * Finished records in Valkey, or Redis from 6.2. While the server is away every method fails at once with `store_unavailable`,
 * nothing is queued, and the connection comes back by itself.
 */
export class ValkeyInvocationStore implements InvocationStore {
  readonly kind = 'valkey'
  readonly #redis: Redis
  readonly #prefix: string
  readonly #ttl: number
  /** Why the connection was last lost. */
  #trouble: string

  private constructor(redis: Redis, { keyPrefix, ttlSeconds, host, port }: ValkeyInvocationStoreOptions) {
    this.#redis = redis
    this.#prefix = keyPrefix
    this.#ttl = ttlSeconds
    this.#trouble = `no connection to ${host}:${port}`
    redis.on('error', (error: Error) => {
      this.#trouble = error.message
    })
  }

  /** @throws CloisterError `store_unavailable` that says where and why, when the server is away or refuses password or database */
  static async open(options: ValkeyInvocationStoreOptions): Promise<ValkeyInvocationStore> {
    const { host, port, db, password, timeoutMs = 2000 } = options
    const redis = new Redis({
      host,
      port,
      db,
      ...(password !== undefined && { password }),
      lazyConnect: true,
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      // What cannot be done now is refused now: a put that came later would be a surprise.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times) => Math.min(RETRY_FIRST * 2 ** Math.min(times, 10), RETRY_LONGEST),
    })
    const store = new ValkeyInvocationStore(redis, options)
    try {
      await redis.connect()
      // A number that the server does not have would leave the connection in database 0.
      await redis.select(db)
    } catch (error) {
      await store.close()
      const reason = isClosed(error) ? store.#trouble : messageOf(error)
      throw errors.storeUnavailable(`the Valkey server at ${host}:${port}, database ${db}, cannot be used: ${reason}`)
    }
    // A process that has nothing else to do may end.
    redis.stream.unref()
    redis.on('ready', () => redis.stream.unref())
    return store
  }

  async put(record: Invocation): Promise<void> {
    const { id, session_id, started_at } = record
    const [key, index] = [this.#record(id), this.#index(session_id)]
    await this.#reach(() =>
      this.#redis.eval(PUT, 2, key, index, JSON.stringify(record), this.#ttl, `${started_at} ${id}`, this.#record('')),
    )
  }

  async get(id: string): Promise<Invocation | null> {
    const text = await this.#reach(() => this.#redis.get(this.#record(id)))
    return text === null ? null : toInvocation(id, text)
  }

  async list(
    sessionId: string,
    filter: { tool?: string; status?: Invocation['status'] },
    page: PageRequest,
  ): Promise<Page<Invocation>> {
    checkPageLimit(page.limit)
    const found: Invocation[] = []
    const expired: string[] = []
    let before = page.cursor === null ? '+' : `(${decodeCursor(page.cursor, ['string', 'string']).join(' ')}`
    const index = this.#index(sessionId)
    while (found.length <= page.limit) {
      const members = await this.#reach(() => this.#redis.zrange(index, before, '-', 'BYLEX', 'REV', 'LIMIT', 0, CHUNK))
      if (members.length === 0) break
      const ids = members.map((member) => member.slice(member.indexOf(' ') + 1))
      const texts = await this.#reach(() => this.#redis.mget(ids.map((id) => this.#record(id))))
      for (const [i, text] of texts.entries()) {
        if (text === null) {
          expired.push(members[i] as string)
          continue
        }
        const record = toInvocation(ids[i] as string, text)
        if ((filter.tool ?? record.tool_name) === record.tool_name && (filter.status ?? record.status) === record.status)
          found.push(record)
      }
      before = `(${members.at(-1)}`
      if (members.length < CHUNK) break
    }
    if (expired.length > 0) await this.#reach(() => this.#redis.eval(CLEAN, 1, index, this.#record(''), ...expired))
    return toPage(
      found,
      page.limit,
      ({ started_at, id }) => [started_at, id],
      (record) => record,
    )
  }

  async deleteSession(sessionId: string): Promise<void> {
    // In portions: nobody else is served while a script runs.
    const portion = () => this.#redis.eval(DELETE, 1, this.#index(sessionId), this.#record(''), CHUNK)
    while ((await this.#reach(portion)) === CHUNK);
  }

  async ping(): Promise<void> {
    await this.#reach(() => this.#redis.ping())
  }

  /** Ends the connection. What was called before is answered or refused. */
  async close(): Promise<void> {
    this.#redis.disconnect()
  }

  #record(id: string): string {
    return `${this.#prefix}:record:${id}`
  }

  #index(sessionId: string): string {
    return `${this.#prefix}:session:${sessionId}`
  }

  async #reach<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command()
    } catch (error) {
      if (error instanceof CloisterError) throw error
      // The driver's errors carry the command and its arguments: records, and the password. Only the text goes on, into the log.
      const reason = this.#redis.status === 'ready' ? messageOf(error) : this.#trouble
      throw errors.storeUnavailable('the invocation store does not answer: try again in a moment', new Error(reason))
    }
  }
}

function toInvocation(id: string, text: string): Invocation {
  return objectFromJson(text, `the invocation store's record of ${id}`)
}

function isClosed(error: unknown): boolean {
  return error instanceof Error && /Connection is closed|isn't writeable/.test(error.message)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

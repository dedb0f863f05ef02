import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import type { Connector, HttpSource, ListedTool } from '../../domain/connector.ts'
import { makeRedactor, type Redactor } from '../../domain/redaction.ts'
import type { ConnectorAnswer, ConnectorCall, ConnectorClient } from '../connector-client.ts'
import { ConnectorFault } from '../connector-fault.ts'
import { McpSession } from '../mcp-session.ts'
import { AnswersOnly } from './answers-only.ts'
import { guardedFetch } from './guarded-fetch.ts'

/** A list that is older is asked for again before a call. */
const TRUST_MS = 30_000
/** A connection that nobody uses is given up after so long; where there are too many, the longest unused first. */
const IDLE_MS = 10 * 60_000
const MOST_CONNECTIONS = 64
const MOST_PROGRESS = 100

interface Connection {
  key: string
  session: Promise<McpSession>
  /** Null: it is being made. */
  made: McpSession | null
  used: number
  calls: number
  /** Runs while there are no calls. */
  idle: NodeJS.Timeout | undefined
}

/**
 * Remote MCP servers. Each session of ours has a connection of its own, so that what a server remembers stays with it; none outlives the
 * process. What a server answers is searched for the values that it was sent in headers.
 */
export class HttpConnectorClient implements ConnectorClient {
  readonly #values: (variable: string) => string
  readonly #idleMs: number
  readonly #connections = new Map<string, Connection>()

  /**
   * @param values of environment variables that the configuration names
   * @param idleMs after which a connection that nobody uses is given up
   */
  constructor(values: (variable: string) => string, idleMs = IDLE_MS) {
    this.#values = values
    this.#idleMs = idleMs
  }

  async call(call: ConnectorCall, context: Parameters<ConnectorClient['call']>[1]): Promise<ConnectorAnswer> {
    const { connector, tool, args, digest, repeatable, timeout_ms } = call
    const { signal } = context
    let told = 0
    const connection = this.#connection(connector, context.session.id, timeout_ms)
    connection.calls++
    clearTimeout(connection.idle)
    try {
      const session = await connection.session
      return await session.call({
        tool: tool.name,
        args,
        digest,
        timeout_ms,
        signal,
        onProgress: (message) => {
          if (told++ < MOST_PROGRESS) context.log(message)
        },
        // What goes out may have been done: host, which knows what was done in a sandbox, knows nothing of it.
        ...(!repeatable && { beforeCall: () => context.actsOutside() }),
      })
    } catch (error) {
      // Whatever state it is in is not one to go on with.
      if (!(error instanceof ConnectorFault && error.code === 'refused')) await this.#drop(connection)
      throw error
    } finally {
      connection.used = Date.now()
      connection.calls--
      this.#waitForUse(connection)
    }
  }

  /** Over a connection of its own. @throws ConnectorFault */
  async list(connector: Connector, timeout_ms: number): Promise<ListedTool[]> {
    const session = await this.#connect(connector, timeout_ms)
    try {
      return await session.list({ timeout_ms })
    } finally {
      await session.close()
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#connections.values()].map((connection) => this.#drop(connection)))
  }

  #connection(connector: Connector, sessionId: string, timeout_ms: number): Connection {
    const key = JSON.stringify([connector.name, sessionId])
    const known = this.#connections.get(key)
    if (known && !known.made?.closed) return known
    this.#makeRoom()
    // Those who come while it is made share it: nobody's cancellation ends it for the others.
    const session = this.#connect(connector, timeout_ms)
    const connection: Connection = { key, session, made: null, used: Date.now(), calls: 0, idle: undefined }
    session.then(
      (made) => (connection.made = made),
      () => undefined,
    )
    this.#connections.set(key, connection)
    return connection
  }

  async #connect(connector: Connector, timeout_ms: number): Promise<McpSession> {
    const source = connector.source as HttpSource
    const session = new McpSession(TRUST_MS, this.#redactor(source))
    // A call of any of its tools may come over this connection.
    const longest_ms = Math.max(timeout_ms, ...Object.values(connector.tools).map((tool) => tool.timeout_seconds * 1000))
    const transport = new StreamableHTTPClientTransport(new URL(source.url), {
      fetch: guardedFetch({ source, headers: this.#headers(source), longest_ms }),
      requestInit: { redirect: 'manual' },
    })
    await session.connect(new AnswersOnly(transport), { timeout_ms })
    return session
  }

  #waitForUse(connection: Connection): void {
    if (connection.calls > 0 || this.#connections.get(connection.key) !== connection) return
    connection.idle = setTimeout(() => void this.#drop(connection), this.#idleMs).unref()
  }

  #makeRoom(): void {
    const idle = [...this.#connections.values()].filter(({ calls }) => calls === 0).toSorted((a, b) => a.used - b.used)
    const excess = this.#connections.size - MOST_CONNECTIONS + 1
    for (const connection of idle.slice(0, Math.max(0, excess))) void this.#drop(connection)
  }

  async #drop(connection: Connection): Promise<void> {
    clearTimeout(connection.idle)
    if (this.#connections.get(connection.key) === connection) this.#connections.delete(connection.key)
    const session = await connection.session.catch(() => null)
    await session?.close()
  }

  #headers(source: HttpSource): Record<string, string> {
    return Object.fromEntries(Object.entries(source.headers).map(([name, variable]) => [name, this.#values(variable)]))
  }

  #redactor(source: HttpSource): Redactor {
    const variables = Object.values(source.headers)
    // Of `Bearer xyz` the second word alone is a secret too; lines of a value are looked for one by one.
    const needles = (value: string) => [value, ...value.split(' ').slice(1)].join('\n')
    return makeRedactor(Object.fromEntries(variables.map((variable) => [variable, needles(this.#values(variable))])))
  }
}

import { randomUUID } from 'node:crypto'
import { type Server, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server'

/** Sessions of MCP clients that are open at once, over all of Cloister's sessions, and of one owner. */
const MOST = 1_000
const MOST_OF_ONE = 32
/** Nobody spoke in it for so long, in ms: it is ended, and its client begins anew. */
const IDLE_MS = 30 * 60_000

interface Open {
  transport: WebStandardStreamableHTTPServerTransport
  server: Server
  /** Whose it is, and of which session: another owner's requests find nothing. */
  owner: string
  lastUsed: number
}

/** Sessions as the 2025 revisions of MCP have them: begun by `initialize`, named in a header, held in memory. */
export class McpSessions {
  readonly #open = new Map<string, Open>()
  readonly #keepAliveMs: number
  readonly #now: () => number

  /** @param options.now milliseconds since the epoch */
  constructor(options: { keepAliveMs: number; now?: () => number }) {
    this.#keepAliveMs = options.keepAliveMs
    this.#now = options.now ?? Date.now
  }

  get size(): number {
    return this.#open.size
  }

  async handle(
    request: Request,
    { owner, body, makeServer }: { owner: string; body: unknown; makeServer: () => Server },
  ): Promise<Response> {
    await this.#endIdle()
    const id = request.headers.get('mcp-session-id')
    if (id !== null) {
      const known = this.#open.get(id)
      // As for a session that is over: its client begins a new one.
      if (known?.owner !== owner) return problem(404, -32_001, 'Session not found')
      known.lastUsed = this.#now()
      return known.transport.handleRequest(request, { parsedBody: body })
    }
    const mine = [...this.#open.values()].filter((each) => each.owner === owner)
    if (this.#open.size >= MOST || mine.length >= MOST_OF_ONE)
      return problem(
        429,
        -32_000,
        `${mine.length} MCP sessions are open already: end some (DELETE), or wait until they are idle for too long`,
      )
    const server = makeServer()
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      keepAliveMs: this.#keepAliveMs,
      onsessioninitialized: (given) => {
        this.#open.set(given, { transport, server, owner, lastUsed: this.#now() })
      },
      onsessionclosed: async (given) => {
        this.#open.delete(given)
        await server.close()
      },
    })
    await server.connect(transport)
    const response = await transport.handleRequest(request, { parsedBody: body })
    // It was no `initialize`: nothing has begun.
    if (transport.sessionId === undefined) await server.close()
    return response
  }

  async endAll(): Promise<void> {
    const open = [...this.#open.values()]
    this.#open.clear()
    await Promise.all(open.map(({ server }) => server.close()))
  }

  async #endIdle(): Promise<void> {
    const before = this.#now() - IDLE_MS
    for (const [id, { lastUsed, server }] of this.#open) {
      if (lastUsed > before) continue
      this.#open.delete(id)
      await server.close()
    }
  }
}

function problem(status: number, code: number, message: string): Response {
  return Response.json({ jsonrpc: '2.0', error: { code, message }, id: null }, { status })
}

import { randomUUID } from 'node:crypto'
import { type Server, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server'

/**
 * Sessions of MCP clients that are open at once: of one owner, of one principal, and over all. An owner or a principal who has that many
 * is refused another; beyond the last, one of whoever has most is ended, so that nobody keeps others out.
 */
const MOST_OF_OWNER = 32
const MOST_OF_PRINCIPAL = 64
const MOST = 1_000
/** Nobody spoke in it for so long, in ms: it is ended, and its client begins anew. */
const IDLE_MS = 30 * 60_000

/** Whose it is. */
export interface McpOwner {
  /** Of what kind of caller, and for which session of Cloister: another owner's requests find nothing. */
  owner: string
  principal: string
  tenant_id: string
}

interface Open extends McpOwner {
  transport: WebStandardStreamableHTTPServerTransport
  server: Server
  lastUsed: number
}

/** Sessions as the 2025 revisions of MCP have them: begun by `initialize`, named in a header, held in memory. */
export class McpSessions {
  readonly #open = new Map<string, Open>()
  /** Asked for and not begun yet: they count, or many at once would get past the limits. */
  readonly #beginning = new Set<McpOwner>()
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
    { owner, body, makeServer }: { owner: McpOwner; body: unknown; makeServer: () => Server },
  ): Promise<Response> {
    await this.#endIdle()
    const id = request.headers.get('mcp-session-id')
    if (id !== null) {
      const known = this.#open.get(id)
      // As for a session that is over: its client begins a new one.
      if (known?.owner !== owner.owner) return problem(404, -32_001, 'Session not found')
      known.lastUsed = this.#now()
      return known.transport.handleRequest(request, { parsedBody: body })
    }
    const excess = this.#excess(owner)
    if (excess !== null) return problem(429, -32_000, excess)
    const beginning = { ...owner }
    this.#beginning.add(beginning)
    try {
      return await this.#begin(request, beginning, body, makeServer())
    } finally {
      this.#beginning.delete(beginning)
    }
  }

  async endAll(): Promise<void> {
    const open = [...this.#open.values()]
    this.#open.clear()
    await Promise.all(open.map(({ server }) => server.close()))
  }

  async #begin(request: Request, owner: McpOwner, body: unknown, server: Server): Promise<Response> {
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      keepAliveMs: this.#keepAliveMs,
      onsessioninitialized: async (given) => {
        this.#beginning.delete(owner)
        this.#open.set(given, { ...owner, transport, server, lastUsed: this.#now() })
        if (this.#open.size > MOST) await this.#endOne()
      },
      onsessionclosed: (given) => this.#end(given, server),
    })
    await server.connect(transport)
    const response = await transport.handleRequest(request, { parsedBody: body })
    // It was no `initialize`: nothing has begun.
    if (transport.sessionId === undefined) await server.close()
    return response
  }

  /** Why this owner may not begin another; null: it may. */
  #excess({ owner, principal }: McpOwner): string | null {
    const all = [...this.#open.values(), ...this.#beginning]
    const ofPrincipal = all.filter((each) => each.principal === principal)
    const ofOwner = ofPrincipal.filter((each) => each.owner === owner)
    const whose =
      ofOwner.length >= MOST_OF_OWNER
        ? `${ofOwner.length} MCP sessions of yours are open in this session`
        : ofPrincipal.length >= MOST_OF_PRINCIPAL
          ? `${ofPrincipal.length} MCP sessions of yours are open in all your sessions`
          : null
    if (whose === null) return null
    return `${whose}, and more may not be: end some (DELETE with their Mcp-Session-Id); what nobody uses for ${IDLE_MS / 60_000} minutes ends by itself`
  }

  async #endIdle(): Promise<void> {
    const before = this.#now() - IDLE_MS
    for (const [id, { lastUsed, server }] of this.#open) if (lastUsed <= before) await this.#end(id, server)
  }

  /** The longest idle one of the principal that has most, in the tenant that has most. */
  async #endOne(): Promise<void> {
    const ofTenant = largest([...this.#open], ([, { tenant_id }]) => tenant_id)
    const ofPrincipal = largest(ofTenant, ([, { principal }]) => principal)
    const [first] = ofPrincipal.sort(([, a], [, b]) => a.lastUsed - b.lastUsed)
    if (first) await this.#end(first[0], first[1].server)
  }

  async #end(id: string, server: Server): Promise<void> {
    this.#open.delete(id)
    await server.close()
  }
}

/** The largest group; of several the one that began first. Empty for nothing. */
function largest<T>(all: T[], groupOf: (each: T) => string): T[] {
  return [...Map.groupBy(all, groupOf).values()].reduce((most, group) => (group.length > most.length ? group : most), [])
}

function problem(status: number, code: number, message: string): Response {
  return Response.json({ jsonrpc: '2.0', error: { code, message }, id: null }, { status })
}

import { createMcpHandler, isLegacyRequest, type McpHttpHandler } from '@modelcontextprotocol/server'
import type { Logger } from 'pino'
import { type Caller, principalKey } from '../domain/principal.ts'
import type { Artifacts, Invocations } from '../services/contracts.ts'
import type { EventLog } from '../services/event-log.ts'
import { type McpOwner, McpSessions } from './mcp-sessions.ts'
import { PendingCalls } from './pending-calls.ts'
import { type SessionServerDependencies, sessionServer } from './session-server.ts'

export interface McpEndpointDependencies {
  invocations: Pick<Invocations, 'tools' | 'invoke' | 'cancel'>
  artifacts: Artifacts
  eventLog: Pick<EventLog, 'subscribe'>
  logger: Pick<Logger, 'warn'>
  version: string
}

type McpCaller = Exclude<Caller, { kind: 'system' }>

/** Milliseconds between comments that keep a silent stream open. */
const KEEP_ALIVE_MS = 15_000

/**
 * Every session as an MCP server of its own. Requests of the current revision stand alone: what they need comes with them, and a restart
 * of the server breaks nothing. Clients of the 2025 revisions get the sessions that they expect, bounded in number and in idle time.
 */
export class McpEndpoint {
  readonly #deps: SessionServerDependencies
  readonly #logger: Pick<Logger, 'warn'>
  readonly #sessions: McpSessions
  readonly #open = new Set<McpHttpHandler>()

  constructor({ logger, ...deps }: McpEndpointDependencies) {
    this.#deps = { ...deps, pending: new PendingCalls() }
    this.#logger = logger
    this.#sessions = new McpSessions({ keepAliveMs: KEEP_ALIVE_MS })
  }

  /** @param exchange.body parsed already */
  async handle(request: Request, exchange: { caller: Caller; session_id: string; body: unknown }): Promise<Response> {
    const { session_id, body } = exchange
    const caller = asMcp(exchange.caller)
    const makeServer = () => sessionServer(this.#deps, caller, session_id)
    if (await isLegacyRequest(request.clone(), body))
      return this.#sessions.handle(request, { owner: ownerOf(caller, session_id), body, makeServer })
    const handler = createMcpHandler(makeServer, {
      legacy: 'reject',
      keepAliveMs: KEEP_ALIVE_MS,
      onerror: (error) => this.#logger.warn({ err: error, session_id }, 'an MCP request was refused'),
    })
    this.#open.add(handler)
    const response = await handler.fetch(request, { parsedBody: body })
    return whenOver(response, request.signal, () => {
      this.#open.delete(handler)
      void handler.close()
    })
  }

  async endAll(): Promise<void> {
    await Promise.all([this.#sessions.endAll(), ...[...this.#open].map((handler) => handler.close())])
  }
}

/** An agent credential that arrives here is an MCP client's: records say so. People stay who they are. */
function asMcp(caller: Caller): McpCaller {
  if (caller.kind === 'system') throw new Error('the system is no MCP client')
  return caller.kind === 'agent' ? { ...caller, kind: 'mcp' } : caller
}

function ownerOf(caller: McpCaller, sessionId: string): McpOwner {
  const principal = principalKey(caller)
  return { owner: `${sessionId} ${caller.kind} ${principal}`, principal, tenant_id: caller.tenant_id }
}

/** The same response; `end` is called once its body is sent or the client went away. */
function whenOver(response: Response, signal: AbortSignal, end: () => void): Response {
  let ended = false
  const once = () => {
    if (!ended) end()
    ended = true
  }
  signal.addEventListener('abort', once, { once: true })
  if (!response.body) {
    once()
    return response
  }
  const body = response.body.pipeThrough(new TransformStream({ flush: once }))
  return new Response(body, { status: response.status, headers: response.headers })
}

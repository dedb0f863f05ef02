import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { errors } from '../../../domain/errors.ts'
import { permissionsOf } from '../../../domain/principal.ts'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { responds } from '../../schemas/error.ts'

const params = z.strictObject({ session_id: z.string().min(1).max(128) })

const DESCRIPTION =
  "The session's tools over the Model Context Protocol, Streamable HTTP: revision 2026-07-28, and the sessions of 2025 revisions. Meant for " +
  'credentials of `POST /v1/sessions/{session_id}/tokens`. What is sent and answered is JSON-RPC, as the protocol says.'

/** The three methods of MCP's Streamable HTTP transport. Whoever may not invoke tools here is refused before MCP is spoken. */
export function sessionMcp(app: App, { mcp, invocations }: AppDependencies): void {
  const handle = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const { caller, params, body } = request as typeof request & { params: { session_id: string } }
    refuseForeignPages(request)
    // Another's session does not exist for this caller; asked for its tools, the gate says so.
    await invocations.tools(caller, params.session_id, {})
    if (caller.kind === 'user' && !permissionsOf(caller).includes('session:message'))
      throw errors.permissionDenied('session:message')
    return mcp.handle(webRequest(request, reply), { caller, session_id: params.session_id, body })
  }
  const url = '/v1/sessions/:session_id/mcp'
  const answers = responds({ 200: z.unknown().describe('JSON-RPC, or a stream of it.') }, 403, 404, 413, 429)
  const common = { tags: ['mcp'], params, description: DESCRIPTION, response: answers }
  app.post(
    url,
    { schema: { ...common, operationId: 'sendMcpMessage', summary: 'Send an MCP message', body: z.unknown() } },
    handle,
  )
  app.get(url, { schema: { ...common, operationId: 'streamMcpMessages', summary: "Open an MCP session's stream" } }, handle)
  app.delete(url, { schema: { ...common, operationId: 'endMcpSession', summary: 'End an MCP session' } }, handle)
}

/**
 * Against DNS rebinding, as the transport demands: a web page may only talk to the server that it came from, and to one on loopback only
 * under a name that means loopback. Clients that are no web pages send no `Origin`.
 */
function refuseForeignPages({ headers, socket }: FastifyRequest): void {
  const { origin, host } = headers
  if (origin === undefined) return
  const page = URL.canParse(origin) ? new URL(origin) : null
  const local = isLoopback(socket.localAddress ?? '')
  if (page === null || page.host !== host || (local && !isLoopback(page.hostname)))
    throw errors.permissionDenied('session:message', 'requests of web pages of another origin are refused')
}

function isLoopback(name: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[?::1\]?|::ffff:127(\.\d+){3})$/.test(name)
}

/** Its signal is aborted when the client goes away. */
function webRequest(request: FastifyRequest, reply: FastifyReply): Request {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new Error('the client went away'))
  })
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers))
    if (value !== undefined && name !== 'authorization') headers.set(name, Array.isArray(value) ? value.join(', ') : value)
  const body = request.method === 'POST' ? JSON.stringify(request.body ?? null) : null
  return new Request(`http://${request.host}${request.url}`, { method: request.method, headers, body, signal: gone.signal })
}

import type { FastifyRequest } from 'fastify'
import { CloisterError } from '../../../domain/errors.ts'
import type { Caller } from '../../../domain/principal.ts'
import type { Approvals, Auth, Invocations, Sessions } from '../../../services/contracts.ts'
import type { HttpConfig } from '../../dependencies.ts'
import { type Authenticator, bearerOf } from './authenticator.ts'

const SYSTEM: Caller = { kind: 'system' }
/** Addresses of peers, IPv4 also as a dual-stack socket shows it. */
const LOOPBACK = /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/
const HOST_NAMES = ['localhost', '127.0.0.1', '[::1]']
/** Lists name no session. Who may name anybody sees everybody's. */
const LISTS = new Set(['/v1/sessions', '/v1/approvals'])

/**
 * Development: whoever reaches loopback is the principal that it names when it creates a session, and the session's owner from
 * then on. A credential that is sent all the same counts. Web pages are kept out: their requests have an `Origin`, come from
 * another site, or (after DNS rebinding) name another host.
 */
export function payloadAuthenticator(
  config: HttpConfig,
  services: { auth: Auth; sessions: Sessions; invocations: Invocations; approvals: Approvals },
): Authenticator {
  const user = (who: { tenant_id: string; actor_id: string }, admin = false): Caller => ({
    kind: 'user',
    tenant_id: who.tenant_id,
    actor_id: who.actor_id,
    admin,
    tool_roles: [...config.CLOISTER_MAX_TOOL_ROLES],
  })
  /** Callers that no credential and no session names: a session's body may. */
  const unnamed = new WeakSet<Caller>()
  const local = { tenant_id: 'default', actor_id: 'local' }

  return {
    notice:
      'CLOISTER_AUTH=payload: there is no authentication. Whoever reaches this port on loopback is the principal that it names, and may approve. For development only.',

    admit(request) {
      if (!LOOPBACK.test(request.ip)) throw refused('only loopback is served in the mode payload')
      if (request.headers.origin !== undefined) throw refused('requests of web pages are refused in the mode payload')
      const site = request.headers['sec-fetch-site']
      if (site === 'cross-site' || site === 'same-site') throw refused('requests of other sites are refused in the mode payload')
      const host = request.headers.host?.toLowerCase()
      const port = request.socket.localPort ?? 80
      const accepted = HOST_NAMES.flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`]))
      if (!host || !accepted.includes(host)) throw refused(`the Host header must be one of ${accepted.join(', ')}`)
    },

    async authenticate(request) {
      if (request.headers.authorization !== undefined) return services.auth.authenticate(bearerOf(request) ?? '')
      const owner = await ownerOf(request)
      if (owner) return user(owner)
      const caller = user(local, request.method === 'GET' && LISTS.has(request.routeOptions.url ?? ''))
      unnamed.add(caller)
      return caller
    },

    creator: (caller, principal) => (principal && unnamed.has(caller) ? user(principal) : caller),
  }

  async function ownerOf(request: FastifyRequest): Promise<{ tenant_id: string; actor_id: string } | null> {
    const params = request.params as { session_id?: string; invocation_id?: string; approval_id?: string }
    let id = params.session_id
    if (params.invocation_id) id = (await services.invocations.get(SYSTEM, params.invocation_id)).session_id
    if (params.approval_id) id = (await services.approvals.get(SYSTEM, params.approval_id)).session_id
    if (id === undefined) return null
    return (await services.sessions.get(SYSTEM, id, { deleted: true })).owner
  }
}

function refused(message: string): CloisterError {
  return new CloisterError('permission_denied', message)
}

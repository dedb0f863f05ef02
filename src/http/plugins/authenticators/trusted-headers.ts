import { createHash, timingSafeEqual } from 'node:crypto'
import { errors } from '../../../domain/errors.ts'
import type { Auth } from '../../../services/contracts.ts'
import type { HttpConfig } from '../../dependencies.ts'
import { principalName } from '../../schemas/common.ts'
import { type Authenticator, bearerOf } from './authenticator.ts'

const name = principalName()

/**
 * Behind a gateway that has authenticated the caller: a shared token and who it is, in headers. Nobody is an admin in this mode.
 * Beside it, a session's own token is good as a bearer; those of users are not, for users are the gateway's business. Tool roles beyond the ceiling are left out: the gateway's list is what its users could have, not what this server grants.
 */
export function trustedHeadersAuthenticator(config: HttpConfig, auth: Auth): Authenticator {
  const shared = config.WORKSPACE_AUTH_SHARED_TOKEN
  if (!shared) throw new Error('the mode trusted_headers needs a shared token')
  const expected = digest(shared)
  return {
    async authenticate(request) {
      const header = (key: string): string => {
        const value = request.headers[key]
        return typeof value === 'string' ? value : ''
      }
      const bearer = bearerOf(request)
      if (bearer && request.headers['x-workspace-auth-token'] === undefined) {
        const caller = await auth.authenticate(bearer)
        if (caller.kind !== 'agent' && caller.kind !== 'mcp') throw errors.unauthorized('users are authenticated by the gateway')
        return caller
      }
      // Digests have one length, so the comparison takes the same time whatever was sent.
      if (!timingSafeEqual(digest(header('x-workspace-auth-token')), expected))
        throw errors.unauthorized('the gateway must send its shared token as X-Workspace-Auth-Token')
      const tenant = name.safeParse(header('x-workspace-tenant-id'))
      const actor = name.safeParse(header('x-workspace-actor-id'))
      if (!tenant.success || !actor.success)
        throw errors.unauthorized('the gateway must send X-Workspace-Tenant-Id and X-Workspace-Actor-Id, each a plain name')
      const asked = header('x-workspace-roles')
        .split(',')
        .map((role) => role.trim())
      return {
        kind: 'user',
        tenant_id: tenant.data,
        actor_id: actor.data,
        admin: false,
        tool_roles: config.CLOISTER_MAX_TOOL_ROLES.filter((role) => asked.includes(role)),
      }
    },
    creator: (caller) => caller,
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

import { z } from 'zod'
import { errors } from '../../../domain/errors.ts'
import { PERMISSIONS, permissionsOf } from '../../../domain/principal.ts'
import type { App } from '../../app-type.ts'
import { responds } from '../../schemas/error.ts'

export function me(app: App): void {
  app.get(
    '/v1/auth/me',
    {
      schema: {
        operationId: 'me',
        tags: ['auth'],
        summary: 'Who am I?',
        response: responds({
          200: z.object({
            principal: z.object({
              kind: z.enum(['user', 'agent', 'mcp']),
              tenant_id: z.string(),
              actor_id: z.string(),
              roles: z.array(z.string()),
              tool_roles: z.array(z.string()),
              session_id: z.string().nullable().describe('The one session of an agent credential.'),
              permissions: z.array(z.enum(PERMISSIONS)).describe('On sessions of its own; admins: on every session.'),
            }),
          }),
        }),
      },
    },
    async ({ caller }) => {
      if (caller.kind === 'system') throw errors.unauthorized()
      const agent = caller.kind !== 'user'
      return {
        principal: {
          kind: caller.kind,
          tenant_id: caller.tenant_id,
          actor_id: caller.actor_id,
          roles: agent ? [] : [caller.admin ? 'admin' : 'user'],
          tool_roles: agent ? [] : caller.tool_roles,
          session_id: agent ? caller.session_id : null,
          permissions: [...permissionsOf(caller)],
        },
      }
    },
  )
}

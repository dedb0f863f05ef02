import { z } from 'zod'
import type { App } from '../../app-type.ts'
import { definedFields } from '../../defined-fields.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { principalName } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { password, roleName, toolRoles, userSchema } from '../../schemas/user.ts'

export function createUser(app: App, { auth }: AppDependencies): void {
  app.post(
    '/v1/users',
    {
      schema: {
        operationId: 'createUser',
        tags: ['users'],
        summary: 'Create a user',
        description: 'Admins only.',
        body: z.strictObject({
          name: principalName(),
          password: password(),
          tenant_id: principalName().optional().describe('Default: `default`.'),
          roles: z.array(roleName()).max(2).optional().describe('Default: `user`.'),
          tool_roles: toolRoles().optional().describe('Default: `developer`.'),
        }),
        response: responds({ 201: z.object({ user: userSchema }) }, 403, 409),
      },
    },
    async (request, reply) => reply.code(201).send({ user: await auth.createUser(request.caller, definedFields(request.body)) }),
  )
}

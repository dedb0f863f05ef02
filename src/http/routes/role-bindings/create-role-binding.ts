import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { responds } from '../../schemas/error.ts'
import { roleBindingSchema, roleName } from '../../schemas/user.ts'

export function createRoleBinding(app: App, { auth }: AppDependencies): void {
  app.post(
    '/v1/role-bindings',
    {
      schema: {
        operationId: 'createRoleBinding',
        tags: ['role-bindings'],
        summary: 'Give a role to a principal',
        description: 'Admins only.',
        body: z.strictObject({ principal: z.string().min(3).max(257).describe('`tenant_id/actor_id`.'), role_name: roleName() }),
        response: responds({ 201: z.object({ role_binding: roleBindingSchema }) }, 403, 404, 409),
      },
    },
    async (request, reply) => reply.code(201).send({ role_binding: await auth.createRoleBinding(request.caller, request.body) }),
  )
}

import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { responds } from '../../schemas/error.ts'
import { roleBindingSchema } from '../../schemas/user.ts'

export function listRoleBindings(app: App, { auth }: AppDependencies): void {
  app.get(
    '/v1/role-bindings',
    {
      schema: {
        operationId: 'listRoleBindings',
        tags: ['role-bindings'],
        summary: 'List role bindings',
        description: 'Admins only.',
        response: responds({ 200: z.object({ role_bindings: z.array(roleBindingSchema) }) }, 403),
      },
    },
    async (request) => ({ role_bindings: await auth.listRoleBindings(request.caller) }),
  )
}

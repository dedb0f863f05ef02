import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { noBody } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'

export function deleteRoleBinding(app: App, { auth }: AppDependencies): void {
  app.delete(
    '/v1/role-bindings/:principal/:role_name',
    {
      schema: {
        operationId: 'deleteRoleBinding',
        tags: ['role-bindings'],
        summary: 'Take a role from a principal',
        description: 'Admins only.',
        params: z.strictObject({
          principal: z.string().min(1).max(257).describe('`tenant_id/actor_id`, the slash as %2F.'),
          role_name: z.string().min(1).max(64),
        }),
        body: noBody,
        response: responds({ 200: z.object({ deleted: z.literal(true) }) }, 403, 404, 409),
      },
    },
    async (request) => {
      await auth.deleteRoleBinding(request.caller, request.params.principal, request.params.role_name)
      return { deleted: true as const }
    },
  )
}

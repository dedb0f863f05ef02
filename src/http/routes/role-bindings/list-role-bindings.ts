import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { nextCursor, pageQuery, pageRequest } from '../../schemas/common.ts'
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
        querystring: z.strictObject(pageQuery),
        response: responds({ 200: z.object({ role_bindings: z.array(roleBindingSchema), next_cursor: nextCursor }) }, 403),
      },
    },
    async (request) => {
      const { items, next_cursor } = await auth.listRoleBindings(request.caller, pageRequest(request.query))
      return { role_bindings: items, next_cursor }
    },
  )
}

import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { noBody } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { userParams, userQuery } from '../../schemas/user.ts'

export function deleteUser(app: App, { auth }: AppDependencies): void {
  app.delete(
    '/v1/users/:name',
    {
      schema: {
        operationId: 'deleteUser',
        tags: ['users'],
        summary: 'Delete a user',
        description: 'Admins only.',
        params: userParams,
        querystring: userQuery,
        body: noBody,
        response: responds({ 200: z.object({ deleted: z.literal(true) }) }, 403, 404, 409),
      },
    },
    async (request) => {
      await auth.deleteUser(request.caller, request.params.name, request.query.tenant)
      return { deleted: true as const }
    },
  )
}

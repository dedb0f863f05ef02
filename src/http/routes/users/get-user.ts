import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { responds } from '../../schemas/error.ts'
import { userParams, userQuery, userSchema } from '../../schemas/user.ts'

export function getUser(app: App, { auth }: AppDependencies): void {
  app.get(
    '/v1/users/:name',
    {
      schema: {
        operationId: 'getUser',
        tags: ['users'],
        summary: 'Get a user',
        description: 'Admins only.',
        params: userParams,
        querystring: userQuery,
        response: responds({ 200: z.object({ user: userSchema }) }, 403, 404),
      },
    },
    async (request) => ({ user: await auth.getUser(request.caller, request.params.name, request.query.tenant) }),
  )
}

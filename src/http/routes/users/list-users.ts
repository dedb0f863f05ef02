import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { nextCursor, pageQuery, pageRequest } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { userSchema } from '../../schemas/user.ts'

export function listUsers(app: App, { auth }: AppDependencies): void {
  app.get(
    '/v1/users',
    {
      schema: {
        operationId: 'listUsers',
        tags: ['users'],
        summary: 'List users',
        description: 'Admins only.',
        querystring: z.strictObject(pageQuery),
        response: responds({ 200: z.object({ users: z.array(userSchema), next_cursor: nextCursor }) }, 403),
      },
    },
    async (request) => {
      const { items, next_cursor } = await auth.listUsers(request.caller, pageRequest(request.query))
      return { users: items, next_cursor }
    },
  )
}

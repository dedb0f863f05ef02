import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
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
        response: responds({ 200: z.object({ users: z.array(userSchema) }) }, 403),
      },
    },
    async (request) => ({ users: await auth.listUsers(request.caller) }),
  )
}

import { z } from 'zod'
import type { App } from '../../app-type.ts'
import { definedFields } from '../../defined-fields.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { responds } from '../../schemas/error.ts'
import { password, roleName, toolRoles, userParams, userQuery, userSchema } from '../../schemas/user.ts'

export function updateUser(app: App, { auth }: AppDependencies): void {
  app.patch(
    '/v1/users/:name',
    {
      schema: {
        operationId: 'updateUser',
        tags: ['users'],
        summary: 'Change a user',
        description: 'Admins only. A new password, or `active: false`, ends the tokens that the user has from login.',
        params: userParams,
        querystring: userQuery,
        body: z
          .strictObject({
            password: password().optional(),
            roles: z.array(roleName()).max(2).optional(),
            tool_roles: toolRoles().optional(),
            active: z.boolean().optional(),
          })
          .refine((fields) => Object.keys(fields).length > 0, 'name at least one field to change'),
        response: responds({ 200: z.object({ user: userSchema }) }, 403, 404, 409),
      },
    },
    async (request) => ({
      user: await auth.updateUser(request.caller, request.params.name, definedFields(request.body), request.query.tenant),
    }),
  )
}

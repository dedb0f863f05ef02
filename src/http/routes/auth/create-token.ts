import { z } from 'zod'
import type { App } from '../../app-type.ts'
import { definedFields } from '../../defined-fields.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { responds } from '../../schemas/error.ts'
import { apiTokenSchema } from '../../schemas/user.ts'

export function createToken(app: App, { auth }: AppDependencies): void {
  app.post(
    '/v1/auth/tokens',
    {
      schema: {
        operationId: 'createToken',
        tags: ['auth'],
        summary: 'Create an API token',
        body: z.strictObject({
          name: z.string().min(1).max(100),
          expires_in_seconds: z.number().int().min(1).max(315_360_000).optional().describe('Absent: it does not expire.'),
        }),
        response: responds({ 201: z.object({ token: apiTokenSchema, value: z.string().describe('Shown this once.') }) }, 403),
      },
    },
    async (request, reply) => {
      const { token, value } = await auth.createToken(request.caller, definedFields(request.body))
      return reply.code(201).send({ token, value })
    },
  )
}

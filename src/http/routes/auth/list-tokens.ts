import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { responds } from '../../schemas/error.ts'
import { apiTokenSchema } from '../../schemas/user.ts'

export function listTokens(app: App, { auth }: AppDependencies): void {
  app.get(
    '/v1/auth/tokens',
    {
      schema: {
        operationId: 'listTokens',
        tags: ['auth'],
        summary: 'List your API tokens',
        response: responds({ 200: z.object({ tokens: z.array(apiTokenSchema) }) }, 403),
      },
    },
    async (request) => ({ tokens: await auth.listTokens(request.caller) }),
  )
}

import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { nextCursor, pageQuery, pageRequest } from '../../schemas/common.ts'
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
        querystring: z.strictObject(pageQuery),
        response: responds({ 200: z.object({ tokens: z.array(apiTokenSchema), next_cursor: nextCursor }) }, 403),
      },
    },
    async (request) => {
      const { items, next_cursor } = await auth.listTokens(request.caller, pageRequest(request.query))
      return { tokens: items, next_cursor }
    },
  )
}

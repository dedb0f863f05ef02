import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { noBody } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'

export function revokeToken(app: App, { auth }: AppDependencies): void {
  app.delete(
    '/v1/auth/tokens/:token_id',
    {
      schema: {
        operationId: 'revokeToken',
        tags: ['auth'],
        summary: 'Revoke an API token',
        params: z.strictObject({ token_id: z.string().min(1).max(128) }),
        body: noBody,
        response: responds({ 200: z.object({ revoked: z.literal(true) }) }, 403, 404),
      },
    },
    async (request) => {
      await auth.revokeToken(request.caller, request.params.token_id)
      return { revoked: true as const }
    },
  )
}

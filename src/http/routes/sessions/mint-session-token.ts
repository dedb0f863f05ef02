import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { sessionParams, time } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'

export function mintSessionToken(app: App, { auth }: AppDependencies): void {
  app.post(
    '/v1/sessions/:session_id/tokens',
    {
      schema: {
        operationId: 'mintSessionToken',
        tags: ['sessions'],
        summary: 'Mint an agent credential for this session',
        description: 'It can invoke the tools of this session and nothing else; it can never approve.',
        params: sessionParams,
        body: z
          .strictObject({ expires_in_seconds: z.number().int().min(60).max(604_800).optional().describe('Default: 3600.') })
          .nullish(),
        response: responds({ 201: z.object({ token: z.string(), expires_at: time() }) }, 403, 404, 409),
      },
    },
    async (request, reply) => {
      const ttl = request.body?.expires_in_seconds ?? 3600
      return reply.code(201).send(await auth.mintSessionToken(request.caller, request.params.session_id, ttl))
    },
  )
}

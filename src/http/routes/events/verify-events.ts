import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { flag, sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'

export function verifyEvents(app: App, { sessions, eventLog }: AppDependencies): void {
  app.get(
    '/v1/sessions/:session_id/events/verify',
    {
      schema: {
        operationId: 'verifyEvents',
        tags: ['events'],
        summary: 'Verify the hash chain',
        params: sessionParams,
        querystring: z.strictObject({ deleted: flag().optional().describe('Also of a deleted session.') }),
        response: responds(
          {
            200: z.object({
              valid: z.boolean(),
              events: z.number().int().describe('How many were read.'),
              broken_at: z.number().int().optional().describe('The first seq at which the chain does not hold.'),
              reason: z.string().optional(),
            }),
          },
          403,
          404,
        ),
      },
    },
    async (request) => {
      await sessions.get(request.caller, request.params.session_id, { deleted: request.query.deleted ?? false })
      return eventLog.verify(request.params.session_id)
    },
  )
}

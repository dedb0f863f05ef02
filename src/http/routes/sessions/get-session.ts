import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderSession } from '../../render-session.ts'
import { flag, sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { sessionSchema } from '../../schemas/session.ts'

export function getSession(app: App, { sessions }: AppDependencies): void {
  app.get(
    '/v1/sessions/:session_id',
    {
      schema: {
        operationId: 'getSession',
        tags: ['sessions'],
        summary: 'Get a session',
        params: sessionParams,
        querystring: z.strictObject({ deleted: flag().optional().describe('Also when it is deleted.') }),
        response: responds({ 200: z.object({ session: sessionSchema }) }, 403, 404),
      },
    },
    async (request) => ({
      session: renderSession(
        await sessions.get(request.caller, request.params.session_id, { deleted: request.query.deleted ?? false }),
      ),
    }),
  )
}

import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderSession } from '../../render-session.ts'
import { noBody, sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { sessionSchema } from '../../schemas/session.ts'

export function interruptSession(app: App, { turns }: AppDependencies): void {
  app.post(
    '/v1/sessions/:session_id/interrupt',
    {
      schema: {
        operationId: 'interruptSession',
        tags: ['sessions'],
        summary: "Stop the session's turn",
        params: sessionParams,
        body: noBody,
        response: responds({ 200: z.object({ session: sessionSchema }) }, 403, 404, 409),
      },
    },
    async (request) => ({
      session: renderSession(await turns.interrupt(request.caller, request.params.session_id)),
    }),
  )
}

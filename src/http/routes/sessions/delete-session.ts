import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderSession } from '../../render-session.ts'
import { noBody, sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { sessionSchema } from '../../schemas/session.ts'

export function deleteSession(app: App, { sessions }: AppDependencies): void {
  app.delete(
    '/v1/sessions/:session_id',
    {
      schema: {
        operationId: 'deleteSession',
        tags: ['sessions'],
        summary: 'Delete a session',
        description: 'Sandbox and files are destroyed; the record and its events stay.',
        params: sessionParams,
        body: noBody,
        response: responds({ 200: z.object({ closed: z.literal(true), session: sessionSchema }) }, 403, 404, 409),
      },
    },
    async (request) => ({
      closed: true as const,
      session: renderSession(await sessions.delete(request.caller, request.params.session_id)),
    }),
  )
}

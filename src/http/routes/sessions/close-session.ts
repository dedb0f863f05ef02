import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderSession } from '../../render-session.ts'
import { noBody, sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { sessionSchema } from '../../schemas/session.ts'

export function closeSession(app: App, { sessions }: AppDependencies): void {
  app.post(
    '/v1/sessions/:session_id/close',
    {
      schema: {
        operationId: 'closeSession',
        tags: ['sessions'],
        summary: 'Close a session',
        description: 'What runs is stopped and the sandbox goes; the files stay.',
        params: sessionParams,
        body: noBody,
        response: responds({ 200: z.object({ session: sessionSchema }) }, 403, 404, 409),
      },
    },
    async (request) => ({
      session: renderSession(await sessions.close(request.caller, request.params.session_id)),
    }),
  )
}

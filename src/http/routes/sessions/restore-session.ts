import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderSession } from '../../render-session.ts'
import { noBody, sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { sessionSchema } from '../../schemas/session.ts'

export function restoreSession(app: App, { sessions }: AppDependencies): void {
  app.post(
    '/v1/sessions/:session_id/restore',
    {
      schema: {
        operationId: 'restoreSession',
        tags: ['sessions'],
        summary: 'Restore a closed session, or one in error',
        description: '202: it is initializing.',
        params: sessionParams,
        body: noBody,
        response: responds(
          {
            200: z.object({ session: sessionSchema }),
            202: z.object({ session: sessionSchema }),
          },
          403,
          404,
          409,
        ),
      },
    },
    async (request, reply) => {
      const session = renderSession(await sessions.restore(request.caller, request.params.session_id))
      return reply.code(session.state === 'initializing' ? 202 : 200).send({ session })
    },
  )
}

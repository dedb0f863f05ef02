import { z } from 'zod'
import type { App } from '../../app-type.ts'
import { definedFields } from '../../defined-fields.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderSession } from '../../render-session.ts'
import { sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { sessionSchema, updateSessionSchema } from '../../schemas/session.ts'

export function updateSession(app: App, { sessions }: AppDependencies): void {
  app.patch(
    '/v1/sessions/:session_id',
    {
      schema: {
        operationId: 'updateSession',
        tags: ['sessions'],
        summary: 'Change a session',
        params: sessionParams,
        body: updateSessionSchema,
        response: responds({ 200: z.object({ session: sessionSchema }) }, 403, 404, 409),
      },
    },
    async (request) => ({
      session: renderSession(await sessions.update(request.caller, request.params.session_id, definedFields(request.body))),
    }),
  )
}

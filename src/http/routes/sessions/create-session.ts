import { z } from 'zod'
import type { App } from '../../app-type.ts'
import { definedFields } from '../../defined-fields.ts'
import type { AppDependencies } from '../../dependencies.ts'
import type { Authenticator } from '../../plugins/authenticators/authenticator.ts'
import { renderSession } from '../../render-session.ts'
import { responds } from '../../schemas/error.ts'
import { createSessionSchema, sessionSchema } from '../../schemas/session.ts'

export function createSession(app: App, { sessions }: AppDependencies, authenticator: Authenticator): void {
  app.post(
    '/v1/sessions',
    {
      bodyLimit: 4 * 1024 * 1024,
      schema: {
        operationId: 'createSession',
        tags: ['sessions'],
        summary: 'Create a session',
        body: createSessionSchema,
        response: responds(
          {
            201: z.object({
              session: sessionSchema,
              warnings: z.array(z.string()).describe('Such as values too short to be redacted.'),
            }),
          },
          403,
          409,
          413,
          429,
        ),
      },
    },
    async (request, reply) => {
      const caller = authenticator.creator(request.caller, request.body.principal)
      const { session, warnings } = await sessions.create(caller, definedFields(request.body))
      return reply.code(201).send({ session: renderSession(session), warnings })
    },
  )
}

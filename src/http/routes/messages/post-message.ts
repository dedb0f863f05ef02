import { z } from 'zod'
import { MESSAGE_LIMIT } from '../../../domain/message.ts'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { messageSchema } from '../../schemas/message.ts'

export function postMessage(app: App, { turns }: AppDependencies): void {
  app.post(
    '/v1/sessions/:session_id/messages',
    {
      schema: {
        operationId: 'postMessage',
        tags: ['messages'],
        summary: 'Send a message to the agent',
        description: 'Queued while the session is busy or initializing.',
        params: sessionParams,
        body: z.strictObject({ content: z.string().min(1).max(MESSAGE_LIMIT) }),
        response: responds({ 202: z.object({ message: messageSchema, turn_id: z.string() }) }, 403, 404, 409, 413, 429),
      },
    },
    async (request, reply) =>
      reply.code(202).send(await turns.post(request.caller, request.params.session_id, request.body.content)),
  )
}

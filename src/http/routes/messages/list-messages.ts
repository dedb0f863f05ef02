import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { nextCursor, pageQuery, pageRequest, sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { messageSchema } from '../../schemas/message.ts'

export function listMessages(app: App, { turns }: AppDependencies): void {
  app.get(
    '/v1/sessions/:session_id/messages',
    {
      schema: {
        operationId: 'listMessages',
        tags: ['messages'],
        summary: 'List the conversation',
        description: 'Oldest first.',
        params: sessionParams,
        querystring: z.strictObject(pageQuery),
        response: responds({ 200: z.object({ messages: z.array(messageSchema), next_cursor: nextCursor }) }, 403, 404),
      },
    },
    async (request) => {
      const page = await turns.messages(request.caller, request.params.session_id, pageRequest(request.query))
      return { messages: page.items, next_cursor: page.next_cursor }
    },
  )
}

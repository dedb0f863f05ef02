import { z } from 'zod'
import { SESSION_STATES } from '../../../domain/session.ts'
import type { App } from '../../app-type.ts'
import { definedFields } from '../../defined-fields.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderSession } from '../../render-session.ts'
import { nextCursor, pageQuery, pageRequest } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { sessionSchema } from '../../schemas/session.ts'

export function listSessions(app: App, { sessions }: AppDependencies): void {
  app.get(
    '/v1/sessions',
    {
      schema: {
        operationId: 'listSessions',
        tags: ['sessions'],
        summary: 'List sessions',
        description: 'Your own, newest first; admins see all.',
        querystring: z.strictObject({
          owner: z.string().min(1).max(257).optional().describe('Admins: an actor, or `tenant_id/actor_id`.'),
          state: z.enum(SESSION_STATES).optional(),
          q: z.string().min(1).max(200).optional().describe('Part of the id or the name.'),
          ...pageQuery,
        }),
        response: responds({ 200: z.object({ sessions: z.array(sessionSchema), next_cursor: nextCursor }) }, 403),
      },
    },
    async (request) => {
      const { owner, state, q } = request.query
      const page = await sessions.list(request.caller, definedFields({ owner, state, q }), pageRequest(request.query))
      return { sessions: page.items.map(renderSession), next_cursor: page.next_cursor }
    },
  )
}

import { z } from 'zod'
import { INVOCATION_STATUSES } from '../../../domain/invocation.ts'
import type { App } from '../../app-type.ts'
import { definedFields } from '../../defined-fields.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderInvocation } from '../../render-invocation.ts'
import { nextCursor, pageQuery, pageRequest, sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { invocationSchema } from '../../schemas/invocation.ts'

export function listInvocations(app: App, { invocations }: AppDependencies): void {
  app.get(
    '/v1/sessions/:session_id/invocations',
    {
      schema: {
        operationId: 'listInvocations',
        tags: ['invocations'],
        summary: 'List invocations',
        description: 'Newest first.',
        params: sessionParams,
        querystring: z.strictObject({
          tool: z.string().min(1).max(128).optional(),
          status: z.enum(INVOCATION_STATUSES).optional(),
          ...pageQuery,
        }),
        response: responds({ 200: z.object({ invocations: z.array(invocationSchema), next_cursor: nextCursor }) }, 403, 404),
      },
    },
    async (request) => {
      const { tool, status } = request.query
      const page = await invocations.list(
        request.caller,
        request.params.session_id,
        definedFields({ tool, status }),
        pageRequest(request.query),
      )
      return { invocations: page.items.map(renderInvocation), next_cursor: page.next_cursor }
    },
  )
}

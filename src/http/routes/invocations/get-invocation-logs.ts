import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { invocationParams, logPageQuery, nextCursor, pageRequest } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { logLineSchema } from '../../schemas/invocation.ts'

export function getInvocationLogs(app: App, { invocations }: AppDependencies): void {
  app.get(
    '/v1/invocations/:invocation_id/logs',
    {
      schema: {
        operationId: 'getInvocationLogs',
        tags: ['invocations'],
        summary: 'Get the log of an invocation',
        params: invocationParams,
        querystring: z.strictObject(logPageQuery),
        response: responds({ 200: z.object({ logs: z.array(logLineSchema), next_cursor: nextCursor }) }, 403, 404),
      },
    },
    async (request) => {
      const { caller, params, query } = request
      const { items, next_cursor } = await invocations.logs(caller, params.invocation_id, pageRequest(query))
      return { logs: items, next_cursor }
    },
  )
}

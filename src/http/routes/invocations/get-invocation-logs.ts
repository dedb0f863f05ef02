import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { invocationParams } from '../../schemas/common.ts'
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
        response: responds({ 200: z.object({ logs: z.array(logLineSchema) }) }, 403, 404),
      },
    },
    async (request) => ({ logs: await invocations.logs(request.caller, request.params.invocation_id) }),
  )
}

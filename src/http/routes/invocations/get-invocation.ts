import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderInvocation } from '../../render-invocation.ts'
import { invocationParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { invocationSchema } from '../../schemas/invocation.ts'

export function getInvocation(app: App, { invocations }: AppDependencies): void {
  app.get(
    '/v1/invocations/:invocation_id',
    {
      schema: {
        operationId: 'getInvocation',
        tags: ['invocations'],
        summary: 'Get an invocation',
        params: invocationParams,
        response: responds({ 200: z.object({ invocation: invocationSchema }) }, 403, 404),
      },
    },
    async (request) => ({
      invocation: renderInvocation(await invocations.get(request.caller, request.params.invocation_id)),
    }),
  )
}

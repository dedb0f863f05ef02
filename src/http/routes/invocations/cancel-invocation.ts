import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderInvocation } from '../../render-invocation.ts'
import { invocationParams, noBody } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { invocationSchema } from '../../schemas/invocation.ts'

export function cancelInvocation(app: App, { invocations }: AppDependencies): void {
  app.post(
    '/v1/invocations/:invocation_id/cancel',
    {
      schema: {
        operationId: 'cancelInvocation',
        tags: ['invocations'],
        summary: 'Cancel an invocation',
        description: 'What runs is killed; the record ends `failed`, code `cancelled`.',
        params: invocationParams,
        body: noBody,
        response: responds({ 200: z.object({ invocation: invocationSchema }) }, 403, 404, 409),
      },
    },
    async (request) => ({
      invocation: renderInvocation(await invocations.cancel(request.caller, request.params.invocation_id)),
    }),
  )
}

import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { invocationParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { artifactSchema } from '../../schemas/invocation.ts'

export function listInvocationArtifacts(app: App, { invocations }: AppDependencies): void {
  app.get(
    '/v1/invocations/:invocation_id/artifacts',
    {
      schema: {
        operationId: 'listInvocationArtifacts',
        tags: ['invocations'],
        summary: 'List what an invocation left behind',
        params: invocationParams,
        response: responds({ 200: z.object({ artifacts: z.array(artifactSchema) }) }, 403, 404),
      },
    },
    async (request) => ({ artifacts: await invocations.artifacts(request.caller, request.params.invocation_id) }),
  )
}

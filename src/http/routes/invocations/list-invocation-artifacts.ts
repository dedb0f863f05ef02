import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { invocationParams, nextCursor, pageQuery, pageRequest } from '../../schemas/common.ts'
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
        querystring: z.strictObject(pageQuery),
        response: responds({ 200: z.object({ artifacts: z.array(artifactSchema), next_cursor: nextCursor }) }, 403, 404),
      },
    },
    async (request) => {
      const { caller, params, query } = request
      const { items, next_cursor } = await invocations.artifacts(caller, params.invocation_id, pageRequest(query))
      return { artifacts: items, next_cursor }
    },
  )
}

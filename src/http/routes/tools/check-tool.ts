import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { responds } from '../../schemas/error.ts'
import { policyCheckSchema } from '../../schemas/invocation.ts'

export function checkTool(app: App, { invocations }: AppDependencies): void {
  app.post(
    '/v1/sessions/:session_id/tools/:tool_name/check',
    {
      schema: {
        operationId: 'checkTool',
        tags: ['tools'],
        summary: 'Ask whether a call would be allowed, and why',
        description:
          'Runs and records nothing. An unknown tool, and arguments that are not valid, are answered with effect `deny`.',
        params: z.strictObject({ session_id: z.string().min(1).max(128), tool_name: z.string().min(1).max(128) }),
        body: z
          .strictObject({
            args: z.unknown().optional().meta({ type: 'object', description: "Fits the tool's input schema. Default: {}." }),
          })
          .nullish(),
        response: responds({ 200: z.object({ check: policyCheckSchema }) }, 403, 404, 413),
      },
    },
    async (request) => {
      const { session_id, tool_name } = request.params
      return { check: await invocations.check(request.caller, session_id, tool_name, request.body?.args ?? {}) }
    },
  )
}

import { z } from 'zod'
import { CORRELATION_ID, CORRELATION_ID_RULE } from '../../../domain/invocation.ts'
import type { App } from '../../app-type.ts'
import { definedFields } from '../../defined-fields.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { renderInvocation } from '../../render-invocation.ts'
import { responds } from '../../schemas/error.ts'
import { invocationSchema } from '../../schemas/invocation.ts'

export function invokeTool(app: App, { invocations }: AppDependencies): void {
  app.post(
    '/v1/sessions/:session_id/tools/:tool_name/invoke',
    {
      schema: {
        operationId: 'invokeTool',
        tags: ['tools'],
        summary: 'Invoke a tool',
        description:
          '200: the tool ran, look at `invocation.status`. 202: it waits for an approval. 4xx: it was refused before any effect.',
        params: z.strictObject({ session_id: z.string().min(1).max(128), tool_name: z.string().min(1).max(128) }),
        body: z.strictObject({
          // Unchecked here: the gate validates it against the tool's schema and records a refusal.
          args: z.unknown().optional().meta({ type: 'object', description: "Fits the tool's input schema. Default: {}." }),
          approved: z.boolean().optional().describe('Your approval, if you may approve.'),
          request_approval: z.boolean().optional().describe('Wait for an approval (202) instead of being refused.'),
          correlation_id: z
            .string()
            .regex(CORRELATION_ID, CORRELATION_ID_RULE)
            .optional()
            .describe(
              'The same id with the same args returns the stored invocation. Ids of the form `trn_...:1:0` are kept for the calls of turns.',
            ),
        }),
        response: responds(
          {
            200: z.object({ invocation: invocationSchema }),
            202: z.object({ invocation: invocationSchema }),
          },
          403,
          404,
          409,
          413,
          428,
          429,
        ),
      },
    },
    async (request, reply) => {
      const { args, ...options } = request.body
      const invocation = await invocations.invoke(request.caller, {
        session_id: request.params.session_id,
        tool_name: request.params.tool_name,
        args: args === undefined ? {} : args,
        ...definedFields(options),
      })
      return reply.code(invocation.status === 'pending_approval' ? 202 : 200).send({ invocation: renderInvocation(invocation) })
    },
  )
}

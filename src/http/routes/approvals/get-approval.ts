import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { approvalSchema } from '../../schemas/approval.ts'
import { approvalParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'

export function getApproval(app: App, { approvals }: AppDependencies): void {
  app.get(
    '/v1/approvals/:approval_id',
    {
      schema: {
        operationId: 'getApproval',
        tags: ['approvals'],
        summary: 'Get an approval',
        params: approvalParams,
        response: responds({ 200: z.object({ approval: approvalSchema }) }, 403, 404),
      },
    },
    async (request) => ({ approval: await approvals.get(request.caller, request.params.approval_id) }),
  )
}

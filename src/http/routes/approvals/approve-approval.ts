import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { approvalSchema, decisionBody } from '../../schemas/approval.ts'
import { approvalParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'

export function approveApproval(app: App, { approvals }: AppDependencies): void {
  app.post(
    '/v1/approvals/:approval_id/approve',
    {
      schema: {
        operationId: 'approveApproval',
        tags: ['approvals'],
        summary: 'Approve: the call runs, once',
        description: 'The person must hold `session:approve`. What it saw must still be so.',
        params: approvalParams,
        body: decisionBody,
        response: responds({ 200: z.object({ approval: approvalSchema }) }, 403, 404, 409),
      },
    },
    async (request) => ({
      approval: await approvals.approve(request.caller, request.params.approval_id, request.body?.reason ?? null),
    }),
  )
}

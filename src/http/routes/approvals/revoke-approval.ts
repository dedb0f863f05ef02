import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { approvalSchema, decisionBody } from '../../schemas/approval.ts'
import { approvalParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'

export function revokeApproval(app: App, { approvals }: AppDependencies): void {
  app.post(
    '/v1/approvals/:approval_id/revoke',
    {
      schema: {
        operationId: 'revokeApproval',
        tags: ['approvals'],
        summary: 'Take an approval back before it is used',
        params: approvalParams,
        body: decisionBody,
        response: responds({ 200: z.object({ approval: approvalSchema }) }, 403, 404, 409),
      },
    },
    async (request) => ({
      approval: await approvals.revoke(request.caller, request.params.approval_id, request.body?.reason ?? null),
    }),
  )
}

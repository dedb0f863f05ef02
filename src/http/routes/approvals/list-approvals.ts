import { z } from 'zod'
import { APPROVAL_STATUSES } from '../../../domain/approval.ts'
import type { App } from '../../app-type.ts'
import { definedFields } from '../../defined-fields.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { approvalSchema } from '../../schemas/approval.ts'
import { nextCursor, pageQuery, pageRequest } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'

export function listApprovals(app: App, { approvals }: AppDependencies): void {
  app.get(
    '/v1/approvals',
    {
      schema: {
        operationId: 'listApprovals',
        tags: ['approvals'],
        summary: 'List approvals',
        description: 'Of your sessions, newest first; admins see all.',
        querystring: z.strictObject({
          status: z.enum(APPROVAL_STATUSES).optional(),
          session: z.string().min(1).max(128).optional(),
          ...pageQuery,
        }),
        response: responds({ 200: z.object({ approvals: z.array(approvalSchema), next_cursor: nextCursor }) }, 403, 404),
      },
    },
    async (request) => {
      const { status, session } = request.query
      const page = await approvals.list(
        request.caller,
        definedFields({ status, session_id: session }),
        pageRequest(request.query),
      )
      return { approvals: page.items, next_cursor: page.next_cursor }
    },
  )
}

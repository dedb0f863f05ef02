import { z } from 'zod'
import { APPROVAL_STATUSES } from '../../domain/approval.ts'
import { approversSchema, jsonObject, time } from './common.ts'

export const approvalSchema = z
  .object({
    id: z.string(),
    session_id: z.string(),
    invocation_id: z.string(),
    tool_name: z.string(),
    args: jsonObject().describe('Redacted.'),
    args_digest: z.string(),
    policy_version: z.string(),
    state_digest: z.string().nullable().describe('Digest of what the person saw; changed since means stale.'),
    requested_by: z.string(),
    approvers: approversSchema,
    status: z.enum(APPROVAL_STATUSES),
    decided_by: z.string().nullable(),
    reason: z.string().nullable(),
    created_at: time(),
    expires_at: time(),
    decided_at: time().nullable(),
  })
  .meta({ id: 'Approval', description: "A person's single-use yes or no to one exact invocation." })

export const decisionBody = z.strictObject({ reason: z.string().max(2000).optional() }).nullish()

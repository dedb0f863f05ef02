import type { Approval, ApprovalStatus, CloisterClient } from '../client/cloister-client.ts'

export type Decision = 'approve' | 'deny' | 'revoke'

/** What an approval is after a decision that took effect. `approved`: its call has not begun yet. */
const MEANT: Record<Decision, readonly ApprovalStatus[]> = {
  approve: ['approved', 'used'],
  deny: ['denied'],
  revoke: ['revoked'],
}

export interface Decided {
  approval: Approval
  /** Why it did not come as it was decided; null: it did. */
  refusal: string | null
}

/**
 * Decides an approval, and says what came of it: a yes is not a call that runs. What the call would change may be another by now, or
 * the policy: then the server answers with an approval that is `expired`.
 * @throws ApiError what cannot be decided (any more), or not by the caller
 */
export async function decideApproval(client: CloisterClient, id: string, decision: Decision, reason?: string): Promise<Decided> {
  const approval = await client.decideApproval(id, decision, reason)
  if (MEANT[decision].includes(approval.status)) return { approval, refusal: null }
  return { approval, refusal: approval.reason ?? `the approval is ${approval.status}` }
}

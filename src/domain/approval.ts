import type { Approvers } from './approvers.ts'

export const APPROVAL_STATUSES = ['pending', 'approved', 'denied', 'expired', 'used', 'revoked'] as const
export type ApprovalStatus = (typeof APPROVAL_STATUSES)[number]

/** A person's single-use yes or no to one exact invocation. */
export interface Approval {
  id: string
  session_id: string
  invocation_id: string
  tool_name: string
  /** Redacted. */
  args: Record<string, unknown>
  args_digest: string
  policy_version: string
  /** Digest of what the person saw (a file's sha256, the tree and HEAD); null where the tool changes nothing that has one. */
  state_digest: string | null
  requested_by: string
  /** Who may approve it, as policy said when it was requested. */
  approvers: Approvers
  status: ApprovalStatus
  decided_by: string | null
  reason: string | null
  created_at: string
  expires_at: string
  decided_at: string | null
}

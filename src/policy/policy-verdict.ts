import type { ApprovalDemand } from './approval-demand.ts'

/** What one source of policies (Cedar, OPA) says of a call that the built-in rules have nothing against. */
export type PolicyVerdict =
  | { effect: 'deny'; reason: string; policies: string[] }
  /** `reason`: why a person must approve, if it says so. */
  | { effect: 'allow'; reason: string | null; policies: string[]; demands: ApprovalDemand[] }

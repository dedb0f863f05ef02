import type { Caller } from '../domain/principal.ts'
import type { Session } from '../domain/session.ts'
import type { ToolMetadata } from '../domain/tool.ts'

/** One question to policy. `args` were validated against the tool's schema before. Roles that count are `session.principal.roles`. */
export interface PolicyRequest {
  caller: Caller
  session: Session
  tool: ToolMetadata
  args: Record<string, unknown>
  /** Why these args need approval although the tool in general does not; null if they do not. */
  approval_reason: string | null
}

/** What one rule says. `deny` names what would be accepted. Null: nothing against it. */
export interface Denial {
  rule: string
  reason: string
}

/** A rule is a pure function: no I/O, no clock. */
export interface PolicyRule {
  name: string
  check(request: PolicyRequest): string | null
}

export type Decision =
  | { effect: 'allow'; rule: string; reason: string; policy_version: string }
  /** All rules that refuse, the first one being `rule`. */
  | { effect: 'deny'; rule: string; reason: string; policy_version: string; violations: Denial[] }
  | { effect: 'require_approval'; rule: string; reason: string; policy_version: string }
  /** Needs approval and has it by the session's `auto_approve`. */
  | { effect: 'standing_approval'; rule: string; reason: string; policy_version: string; by: string }

/** Denies by default: a request that no rule understands (unknown field kinds, a rule that throws) is denied. */
export interface PolicyEngine {
  /** Digest of the rules in force. */
  readonly version: string
  decide(request: PolicyRequest): Decision
  /** Is this tool shown to this session at all (its allow and deny lists, network, roles)? */
  visible(session: Session, tool: ToolMetadata): boolean
}

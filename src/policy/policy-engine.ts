import type { Approvers } from '../domain/approvers.ts'
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
  /**
   * Arguments whose value here is not what will be used: of a body that is read only once the call runs. Whoever looks at one cannot judge
   * the call, and refuses it. Absent: there are none.
   */
  unseen?: readonly string[]
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

/** What every decision says. */
interface Decided {
  rule: string
  reason: string
  policy_version: string
  /** Ids of the administrator's policies that determined it. Absent: only the built-in rules were asked. */
  policies?: string[]
}

export type Decision =
  | (Decided & { effect: 'allow' })
  /** All rules that refuse, the first one being `rule`. */
  | (Decided & { effect: 'deny'; violations: Denial[] })
  /** `approvers` absent: the session's owner or an admin. `ttl_seconds` null or absent: as the server is configured. */
  | (Decided & { effect: 'require_approval'; approvers?: Approvers; ttl_seconds?: number | null })
  /** Needs approval and has it by the session's `auto_approve`. */
  | (Decided & { effect: 'standing_approval'; by: string; approvers?: Approvers })

/** Denies by default: a request that no rule understands (unknown field kinds, a rule that throws) is denied. */
export interface PolicyEngine {
  /** Digest of the rules and policies in force. */
  readonly version: string
  /** Never rejects: what cannot be asked denies. */
  decide(request: PolicyRequest): Decision | Promise<Decision>
  /** Is this tool shown to this session at all (its allow and deny lists, network, roles)? */
  visible(session: Session, tool: ToolMetadata): boolean
  /** Is it listed? Not when it is not visible, nor when policies refuse every call of it; such a call is decided, and on record. */
  listed(session: Session, tool: ToolMetadata): boolean
}

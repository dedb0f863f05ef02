import { describeApprovers, mayApprove } from '../domain/approvers.ts'
import { canonicalJson, sha256 } from '../domain/canonical-json.ts'
import { principalKey } from '../domain/principal.ts'
import type { AutoApproval, Session } from '../domain/session.ts'
import type { ToolMetadata } from '../domain/tool.ts'
import { strictest } from './approval-demand.ts'
import type { CedarPolicySet } from './cedar/cedar-policy-set.ts'
import type { OpaPolicy } from './opa-policy.ts'
import type { Decision, PolicyEngine, PolicyRequest } from './policy-engine.ts'
import type { PolicyVerdict } from './policy-verdict.ts'
import { covers, type RulePolicyEngine } from './rule-policy-engine.ts'

export interface PolicyLayers {
  rules: RulePolicyEngine
  cedar: CedarPolicySet
  /** Null: no policy server is asked. */
  opa: Pick<OpaPolicy, 'decide' | 'url'> | null
}

/**
 * The built-in rules, the administrator's policies and, if there is one, the policy server: all must allow, in this order; of their
 * demands for approval the strictest holds. The set of policies can be replaced while calls are decided: each decision is made
 * under one set, and says which.
 */
export class LayeredPolicyEngine implements PolicyEngine {
  readonly #rules: RulePolicyEngine
  readonly #opa: PolicyLayers['opa']
  #cedar: CedarPolicySet
  #version: string

  constructor({ rules, cedar, opa }: PolicyLayers) {
    this.#rules = rules
    this.#cedar = cedar
    this.#opa = opa
    this.#version = this.#digest()
  }

  get version(): string {
    return this.#version
  }

  /** From now on these policies hold; the old ones are released. */
  replacePolicies(cedar: CedarPolicySet): void {
    const old = this.#cedar
    this.#cedar = cedar
    this.#version = this.#digest()
    if (old !== cedar) old.release()
  }

  async decide(request: PolicyRequest): Promise<Decision> {
    const policy_version = this.#version
    const builtIn = this.#rules.decide(request)
    if (builtIn.effect === 'deny') return { ...builtIn, policy_version, policies: [] }
    const cedar = this.#cedar.decide(request)
    if (cedar.effect === 'deny') return denied('cedar', cedar, policy_version)
    const opa = this.#opa ? await this.#opa.decide(request) : null
    if (opa?.effect === 'deny') return denied('opa', opa, policy_version)
    const policies = [...cedar.policies, ...(opa?.policies.map((id) => `opa:${id}`) ?? [])]
    const common = { policy_version, policies }
    const demands = [...cedar.demands, ...(opa?.demands ?? [])]
    if (builtIn.effect === 'allow' && demands.length === 0)
      return { effect: 'allow', rule: 'allowed', reason: permitted(policies), ...common }
    const { approvers, ttl_seconds } = strictest(demands)
    const standing = standingApproval(request, approvers)
    if (standing) {
      const by = principalKey(standing.by)
      const reason = `${by} approved ${JSON.stringify(standing.pattern)} when the session was created`
      return { effect: 'standing_approval', rule: 'auto_approve', reason, by, approvers, ...common }
    }
    const why = cedar.reason ?? opa?.reason ?? request.approval_reason ?? `${request.tool.name} needs a person's approval`
    return {
      effect: 'require_approval',
      rule: 'approval',
      reason: `${why} (by ${describeApprovers(approvers)})`,
      approvers,
      ttl_seconds,
      ...common,
    }
  }

  /** The built-in rules alone: a call of what policies refuse is decided and recorded, with the policies that refuse it. */
  visible(session: Session, tool: ToolMetadata): boolean {
    return this.#rules.visible(session, tool)
  }

  /** What a policy says under a condition depends on the call, and so does what a policy server says: such tools are listed. */
  listed(session: Session, tool: ToolMetadata): boolean {
    return this.visible(session, tool) && this.#cedar.leavesOpen(session, tool)
  }

  #digest(): string {
    return sha256(canonicalJson({ rules: this.#rules.version, cedar: this.#cedar.digest, opa: this.#opa?.url ?? null })).slice(
      0,
      16,
    )
  }
}

/** A standing approval counts when whoever gave it is among those who may approve. Which roles they had then is not known. */
function standingApproval({ session, tool }: PolicyRequest, approvers: string[][]): AutoApproval | undefined {
  return session.auto_approve.find(
    (approval) => covers(approval, tool) && mayApprove(approvers, { ...approval.by, tool_roles: [] }, session.owner),
  )
}

function denied(rule: string, verdict: Extract<PolicyVerdict, { effect: 'deny' }>, policy_version: string): Decision {
  const { reason, policies } = verdict
  return { effect: 'deny', rule, reason, policy_version, policies, violations: [{ rule, reason }] }
}

function permitted(policies: string[]): string {
  return policies.length > 0 ? `permitted by ${policies.join(', ')}` : 'nothing is against it'
}

import type { Catalog } from '../../catalog/catalog.ts'
import type { CatalogView, PolicyView, Tool } from '../../catalog/define-tool.ts'
import { type Approvers, DEFAULT_APPROVERS, describeApprovers, mayApprove } from '../../domain/approvers.ts'
import { CloisterError, errors } from '../../domain/errors.ts'
import type { ApprovalUse } from '../../domain/invocation.ts'
import { type Caller, permissionsOf, principalKey } from '../../domain/principal.ts'
import type { Redactor } from '../../domain/redaction.ts'
import type { Session } from '../../domain/session.ts'
import { firstStatisticsDay, statisticsOf, type ToolStatistics } from '../../domain/tool-statistics.ts'
import type { Decision, PolicyEngine } from '../../policy/policy-engine.ts'
import type { Store } from '../../store/store.ts'
import type { PolicyCheck } from '../contracts.ts'
import type { GateCall } from './gate-call.ts'
import { examineArgs } from './invocation-record.ts'

export interface PolicyGateDependencies {
  catalog: Catalog
  policy: PolicyEngine
  store: Pick<Store, 'toolOutcomes'>
  clock: () => Date
}

/** What policy says of a call, for the gate and for those who only ask. */
export class PolicyGate {
  readonly #deps: PolicyGateDependencies

  constructor(deps: PolicyGateDependencies) {
    this.#deps = deps
  }

  visible(session: Session, name: string): Tool | null {
    const tool = this.#deps.catalog.get(name)
    return tool && this.#deps.policy.visible(session, tool.metadata) ? tool : null
  }

  catalogView(session: Session): CatalogView {
    return {
      list: () =>
        this.#deps.catalog
          .list()
          .map(({ metadata }) => metadata)
          .filter((metadata) => this.#deps.policy.listed(session, metadata)),
      get: (name) => this.visible(session, name)?.metadata ?? null,
      statistics: () => this.statistics(session),
    }
  }

  /**
   * Counts of the whole tenant, so that a new session has a record to go by; of the tools that this session may use. Nothing in
   * them names a caller, a session or an argument.
   */
  async statistics(session: Session): Promise<Map<string, ToolStatistics>> {
    const { store, clock } = this.#deps
    const all = statisticsOf(await store.toolOutcomes.ofTenant(session.owner.tenant_id, firstStatisticsDay(clock())))
    return new Map([...all].filter(([name]) => this.visible(session, name) !== null))
  }

  policyView(caller: Caller, session: Session, redactor: Redactor): PolicyView {
    return {
      check: async (toolName, args) => {
        const { allowed, reason, requires_approval, violations } = await this.check(caller, session, redactor, toolName, args)
        return { allowed, reason, requires_approval, violations }
      },
    }
  }

  /** What the gate would say to a call. Runs and records nothing. */
  async check(caller: Caller, session: Session, redactor: Redactor, toolName: string, args: unknown): Promise<PolicyCheck> {
    const { version } = this.#deps.policy
    const refused = (rule: string, reason: string, violations: string[]): PolicyCheck => ({
      tool_name: toolName,
      effect: 'deny',
      allowed: false,
      requires_approval: false,
      rule,
      reason,
      violations,
      policies: [],
      approvers: [],
      policy_version: version,
    })
    const tool = this.visible(session, toolName)
    if (!tool) return refused('tool', `this session has no tool ${JSON.stringify(toolName)}`, [])
    const intake = examineArgs(session.id, toolName, tool.input, args, redactor)
    if (intake.args === null) {
      const reasons = intake.issues.map(({ path, reason }) => `${path}: ${reason}`)
      return refused('args', `the arguments are not valid: ${reasons.join('; ')}`, reasons)
    }
    const decision = await this.#ask(caller, session, tool, intake.args)
    return {
      tool_name: toolName,
      effect: decision.effect,
      allowed: decision.effect !== 'deny',
      requires_approval: decision.effect === 'require_approval',
      rule: decision.rule,
      reason: decision.reason,
      violations: decision.effect === 'deny' ? decision.violations.map(({ rule, reason }) => `${rule}: ${reason}`) : [],
      policies: decision.policies ?? [],
      approvers: approversOf(decision) ?? [],
      policy_version: decision.policy_version,
    }
  }

  async decide(call: GateCall): Promise<Decision> {
    const decision = await this.#ask(call.caller, call.session, call.tool, call.args, call.performance?.unseen)
    const { rule, reason, policy_version, effect, policies = [] } = decision
    const approvers = approversOf(decision)
    call.record = {
      ...call.record,
      decision: { effect, rule, reason: call.redactor.text(reason), policy_version, policies, ...(approvers && { approvers }) },
    }
    if (decision.effect !== 'deny') return decision
    throw new CloisterError('policy_denied', reason, { details: { rule, reason, policies, violations: decision.violations } })
  }

  /** Null: none is needed. `ask`: somebody is to be asked. */
  consent(call: GateCall, decision: Decision): ApprovalUse | null | 'ask' {
    const { caller, session, stored, tool } = call
    if (decision.effect === 'standing_approval') return { kind: 'standing', by: decision.by, approval_id: null }
    if (decision.effect !== 'require_approval') return null
    const approvers = decision.approvers ?? DEFAULT_APPROVERS
    const permitted = caller.kind === 'user' && permissionsOf(caller).includes('session:approve')
    if (stored.approved && permitted && mayApprove(approvers, caller, session.owner))
      return { kind: 'given', by: principalKey(caller), approval_id: null }
    if (stored.request_approval) return 'ask'
    throw errors.approvalRequired(
      `${decision.reason}: send "approved": true if you may approve, or "request_approval": true to ask somebody who may`,
      { rule: decision.rule, reason: decision.reason, tool_name: tool.metadata.name, approvers: describeApprovers(approvers) },
    )
  }

  async #ask(
    caller: Caller,
    session: Session,
    tool: Tool,
    args: Record<string, unknown>,
    unseen: readonly string[] = [],
  ): Promise<Decision> {
    const approval_reason = tool.approvalReason(args)
    return this.#deps.policy.decide({ caller, session, tool: tool.metadata, args, approval_reason, unseen })
  }
}

/** Who may approve, where approval is needed. */
export function approversOf(decision: Decision): Approvers | null {
  if (decision.effect !== 'require_approval' && decision.effect !== 'standing_approval') return null
  return decision.approvers ?? DEFAULT_APPROVERS
}

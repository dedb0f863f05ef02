import type { Catalog } from '../../catalog/catalog.ts'
import type { CatalogView, PolicyView, Tool } from '../../catalog/define-tool.ts'
import { CloisterError, errors } from '../../domain/errors.ts'
import type { ApprovalUse } from '../../domain/invocation.ts'
import { type Caller, permissionsOf, principalKey } from '../../domain/principal.ts'
import type { Redactor } from '../../domain/redaction.ts'
import type { Session } from '../../domain/session.ts'
import type { Decision, PolicyEngine } from '../../policy/policy-engine.ts'
import type { GateCall } from './gate-call.ts'
import { examineArgs } from './invocation-record.ts'

export interface PolicyGateDependencies {
  catalog: Catalog
  policy: PolicyEngine
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
          .filter((metadata) => this.#deps.policy.visible(session, metadata)),
      get: (name) => this.visible(session, name)?.metadata ?? null,
    }
  }

  policyView(caller: Caller, session: Session, redactor: Redactor): PolicyView {
    return {
      check: async (toolName, args) => {
        const refused = (reason: string, violations: string[]) => ({
          allowed: false,
          reason,
          requires_approval: false,
          violations,
        })
        const tool = this.visible(session, toolName)
        if (!tool) return refused(`this session has no tool ${JSON.stringify(toolName)}`, [])
        const intake = examineArgs(session.id, toolName, tool.input, args, redactor)
        if (intake.args === null) {
          const reasons = intake.issues.map(({ path, reason }) => `${path}: ${reason}`)
          return refused(`the arguments are not valid: ${reasons.join('; ')}`, reasons)
        }
        const approval_reason = tool.approvalReason(intake.args)
        const decision = this.#deps.policy.decide({ caller, session, tool: tool.metadata, args: intake.args, approval_reason })
        if (decision.effect === 'deny')
          return refused(
            decision.reason,
            decision.violations.map(({ rule, reason }) => `${rule}: ${reason}`),
          )
        return {
          allowed: true,
          reason: decision.reason,
          requires_approval: decision.effect === 'require_approval',
          violations: [],
        }
      },
    }
  }

  decide(call: GateCall): Decision {
    const { caller, session, tool, args } = call
    const decision = this.#deps.policy.decide({
      caller,
      session,
      tool: tool.metadata,
      args,
      approval_reason: tool.approvalReason(args),
    })
    const { rule, reason, policy_version } = decision
    call.record = { ...call.record, decision: { rule, reason: call.redactor.text(reason), policy_version } }
    if (decision.effect !== 'deny') return decision
    throw new CloisterError('policy_denied', reason, { details: { rule, reason, violations: decision.violations } })
  }

  /** Null: none is needed. `ask`: somebody is to be asked. */
  consent(call: GateCall, decision: Decision): ApprovalUse | null | 'ask' {
    const { caller, stored, tool } = call
    if (decision.effect === 'standing_approval') return { kind: 'standing', by: decision.by, approval_id: null }
    if (decision.effect !== 'require_approval') return null
    if (stored.approved && caller.kind === 'user' && permissionsOf(caller).includes('session:approve'))
      return { kind: 'given', by: principalKey(caller), approval_id: null }
    if (stored.request_approval) return 'ask'
    throw errors.approvalRequired(
      `${decision.reason}: send "approved": true if you may approve, or "request_approval": true to ask somebody who may`,
      { rule: decision.rule, reason: decision.reason, tool_name: tool.metadata.name },
    )
  }
}

import { canonicalJson, sha256 } from '../domain/canonical-json.ts'
import { matchesToolPattern } from '../domain/glob.ts'
import { principalKey } from '../domain/principal.ts'
import type { AutoApproval, Session } from '../domain/session.ts'
import type { ToolMetadata } from '../domain/tool.ts'
import type { Decision, Denial, PolicyEngine, PolicyRequest, PolicyRule } from './policy-engine.ts'
import { callerBinding } from './rules/caller-binding.ts'
import { commandArgs } from './rules/command-args.ts'
import { connectorReview } from './rules/connector-review.ts'
import { gitRefs } from './rules/git-refs.ts'
import { gitRemotes } from './rules/git-remotes.ts'
import { network } from './rules/network.ts'
import { patchPaths } from './rules/patch-paths.ts'
import { pathScope } from './rules/path-scope.ts'
import { riskRole } from './rules/risk-role.ts'
import { scopeRole } from './rules/scope-role.ts'
import { toolSelection } from './rules/tool-selection.ts'
import { wholeRepository } from './rules/whole-repository.ts'
import { UnexpectedArgument } from './string-arguments.ts'

/** Every rule that is in force, in the order in which refusals are named. */
export const RULES: readonly PolicyRule[] = [
  callerBinding,
  connectorReview,
  toolSelection,
  scopeRole,
  riskRole,
  network,
  wholeRepository,
  pathScope,
  patchPaths,
  gitRefs,
  gitRemotes,
  commandArgs,
]

/** What a tool must pass to be shown to a session at all: nothing of it depends on arguments. */
const VISIBILITY: readonly PolicyRule[] = [toolSelection, scopeRole, riskRole, network]

/** Raised by hand when what a rule means changes: approvals given under the old meaning are stale then. */
const RULES_REVISION = 1

/** The rules compiled into this server. All must be content; a rule that cannot answer is a refusal. */
export class RulePolicyEngine implements PolicyEngine {
  readonly version: string
  readonly #rules: readonly PolicyRule[]

  constructor(rules: readonly PolicyRule[] = RULES) {
    this.#rules = rules
    this.version = sha256(canonicalJson({ revision: RULES_REVISION, rules: rules.map((rule) => rule.name) })).slice(0, 16)
  }

  decide(request: PolicyRequest): Decision {
    const policy_version = this.version
    const violations = this.#rules.flatMap((rule) => refusal(rule, request) ?? [])
    const first = violations[0]
    if (first) return { effect: 'deny', ...first, policy_version, violations }
    // An engine without rules has checked nothing.
    if (this.#rules.length === 0)
      return { effect: 'deny', rule: 'no_rules', reason: 'no policy is in force', policy_version, violations: [] }
    const { session, tool, approval_reason } = request
    if (!tool.requires_approval && approval_reason === null)
      return { effect: 'allow', rule: 'allowed', reason: 'no rule is against it', policy_version }
    const standing = session.auto_approve.find((approval) => covers(approval, tool))
    if (standing) {
      const by = principalKey(standing.by)
      const reason = `${by} approved ${JSON.stringify(standing.pattern)} when the session was created`
      return { effect: 'standing_approval', rule: 'auto_approve', reason, policy_version, by }
    }
    const reason = approval_reason ?? `${tool.name} needs a person's approval`
    return { effect: 'require_approval', rule: 'approval', reason, policy_version }
  }

  visible(session: Session, tool: ToolMetadata): boolean {
    const request: PolicyRequest = { caller: { kind: 'system' }, session, tool, args: {}, approval_reason: null }
    return this.#rules.length > 0 && VISIBILITY.every((rule) => refusal(rule, request) === null)
  }

  listed(session: Session, tool: ToolMetadata): boolean {
    return this.visible(session, tool)
  }
}

function refusal(rule: PolicyRule, request: PolicyRequest): Denial | null {
  try {
    const reason: unknown = rule.check(request)
    if (reason === null) return null
    return { rule: rule.name, reason: typeof reason === 'string' ? reason : 'the rule gave no verdict' }
  } catch (error) {
    const reason = error instanceof UnexpectedArgument ? error.message : 'the rule could not be applied to this call'
    return { rule: rule.name, reason }
  }
}

/** Risk `high` is covered only by what an admin gave. */
export function covers(approval: AutoApproval, tool: ToolMetadata): boolean {
  return matchesToolPattern(approval.pattern, tool.name) && (tool.risk_level !== 'high' || approval.by.admin)
}

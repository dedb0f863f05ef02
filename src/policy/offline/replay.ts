import type { Approvers } from '../../domain/approvers.ts'
import { argsDigest } from '../../domain/canonical-json.ts'
import type { Invocation, RecordedDecision } from '../../domain/invocation.ts'
import type { Caller } from '../../domain/principal.ts'
import type { OfflineDecider } from './offline-decider.ts'
import { offlineSession, type PolicyFacts } from './offline-session.ts'

/** What policy says, for comparing: a standing approval is an approval that is needed and was given before. */
type Outcome = 'allow' | 'deny' | 'approval'

export interface ReplayedDecision {
  outcome: Outcome
  rule: string
  reason: string
  policies: string[]
  /** Null where nobody has to approve, or where the record does not say. */
  approvers: Approvers | null
}

export interface ReplayedCall {
  invocation_id: string
  tool_name: string
  started_at: string
  /** `undecided`: it was refused before policy was asked (arguments, quota), or was a step of the system itself. */
  verdict: 'same' | 'differs' | 'undecidable' | 'undecided'
  recorded: ReplayedDecision | null
  replayed: ReplayedDecision | null
  /** What differs, or why it cannot be decided. */
  reason: string | null
}

/** What a session's record says of it. Roles, network and paths are those that it was created with: nothing changes them. */
export type ReplayedSession = Omit<PolicyFacts, 'auto_approve'>

/** Decides recorded calls again. Runs nothing. Calls are answered in the order in which they are given. */
export async function replay(
  decider: OfflineDecider,
  session: ReplayedSession,
  calls: readonly Invocation[],
): Promise<ReplayedCall[]> {
  const answers: ReplayedCall[] = []
  for (const call of calls) answers.push(await replayOne(decider, session, call))
  return answers
}

/** What redaction leaves in the place of a secret. */
const PLACEHOLDER = /\[secret:\w+\]/

async function replayOne(decider: OfflineDecider, facts: ReplayedSession, call: Invocation): Promise<ReplayedCall> {
  const { id: invocation_id, tool_name, started_at, decision: said } = call
  const answer = (verdict: ReplayedCall['verdict'], rest: Partial<ReplayedCall> = {}): ReplayedCall => ({
    invocation_id,
    tool_name,
    started_at,
    verdict,
    recorded: said && recordedOutcome(said),
    replayed: null,
    reason: null,
    ...rest,
  })
  if (call.actor.kind === 'system') return answer('undecided')
  if (said === null)
    return PLACEHOLDER.test(JSON.stringify(call.args))
      ? answer('undecidable', { reason: 'its arguments held a secret: they are not on record, and it was refused for them' })
      : answer('undecided')
  // The digest is over the arguments as they were given: what was redacted, or never recorded, does not fit it.
  if (argsDigest(call.session_id, tool_name, call.args) !== call.args_digest)
    return answer('undecidable', { reason: 'its arguments are not on record as they were given' })
  if (said.rule === 'opa') return answer('undecidable', { reason: 'the policy server decided, which is not asked again' })
  const session = offlineSession({ ...facts, auto_approve: [] })
  const result = await decider.decide({ caller: callerOf(call, facts), session, tool_name, args: call.args })
  if ('problem' in result) return answer('undecidable', { reason: result.problem })
  const recorded = recordedOutcome(said)
  const replayed = recordedOutcome(result.decision)
  const reason = difference(recorded, replayed)
  return answer(reason === null ? 'same' : 'differs', { recorded, replayed, reason })
}

function recordedOutcome(decision: RecordedDecision): ReplayedDecision {
  const { rule, reason, policies = [], approvers = null } = decision
  return { outcome: outcomeOf(decision), rule, reason, policies, approvers }
}

function outcomeOf({ effect, rule }: RecordedDecision): Outcome {
  // Records of an older server have no effect: their rules tell.
  const known = effect ?? { allowed: 'allow', approval: 'require_approval', auto_approve: 'standing_approval' }[rule] ?? 'deny'
  return known === 'require_approval' || known === 'standing_approval' ? 'approval' : known === 'allow' ? 'allow' : 'deny'
}

const WORDS = { allow: 'allowed', deny: 'refused', approval: "allowed with a person's approval" } as const

function difference(recorded: ReplayedDecision, replayed: ReplayedDecision): string | null {
  if (recorded.outcome !== replayed.outcome)
    return `was ${WORDS[recorded.outcome]}, would be ${WORDS[replayed.outcome]}: ${replayed.reason}`
  const asked = recorded.approvers !== null && replayed.approvers !== null
  if (asked && JSON.stringify(recorded.approvers) !== JSON.stringify(replayed.approvers))
    return `other people would have to approve: ${replayed.reason}`
  return null
}

/** Who called, as the record has it. Somebody else than the owner can only have been an admin. */
function callerOf({ actor, session_id }: Invocation, { owner }: ReplayedSession): Caller {
  const slash = actor.id.indexOf('/')
  const [tenant_id, actor_id] = [actor.id.slice(0, slash), actor.id.slice(slash + 1)]
  if (actor.kind === 'agent' || actor.kind === 'mcp') return { kind: actor.kind, tenant_id, actor_id, session_id }
  const admin = tenant_id !== owner.tenant_id || actor_id !== owner.actor_id
  return { kind: 'user', tenant_id, actor_id, admin, tool_roles: [] }
}

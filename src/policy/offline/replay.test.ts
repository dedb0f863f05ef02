import { expect, it } from 'vitest'
import { argsDigest } from '../../domain/canonical-json.ts'
import type { Invocation } from '../../domain/invocation.ts'
import { sampleSession } from '../../domain/session.sample.ts'
import { CedarPolicySet } from '../cedar/cedar-policy-set.ts'
import { LayeredPolicyEngine } from '../layered-policy-engine.ts'
import { sampleTool } from '../request.sample.ts'
import { RulePolicyEngine } from '../rule-policy-engine.ts'
import { OfflineDecider } from './offline-decider.ts'
import { replay } from './replay.ts'

const metadata = sampleTool({})
const decider = (text: string) =>
  new OfflineDecider(
    new LayeredPolicyEngine({
      rules: new RulePolicyEngine(),
      cedar: new CedarPolicySet([{ name: 'a.cedar', text }], [metadata]),
      opa: null,
    }),
    [{ metadata, approvalReason: () => null, parse: (args) => ({ args }) }],
  )
const ALL = '@id("all") permit (principal, action, resource);'
const ASKS = '@approval("required") permit (principal, action, resource);'

const said = { rule: 'allowed', reason: '', policy_version: '1', effect: 'allow' as const, policies: ['all'] }
const call = (fields: Partial<Invocation> = {}): Invocation => {
  const args = fields.args ?? {}
  return {
    id: 'inv_1',
    session_id: 'ses_sample',
    turn_id: null,
    tool_name: 'fs.sample',
    args,
    args_digest: argsDigest('ses_sample', fields.tool_name ?? 'fs.sample', args),
    actor: { kind: 'agent', id: 'default/alice' },
    correlation_id: null,
    status: 'succeeded',
    approval: null,
    decision: said,
    started_at: '2026-01-01T00:00:00.000Z',
    completed_at: null,
    duration_ms: null,
    exit_code: null,
    trace_name: '',
    span_name: '',
    trace_id: '',
    output: null,
    output_ref: null,
    logs_ref: null,
    artifacts: [],
    truncated: false,
    error: null,
    ...fields,
  }
}
const asked = { ...said, rule: 'approval', effect: 'require_approval' as const, approvers: [['owner', 'admin']] }

it.each<[string, string, Partial<Invocation>, string, RegExp | null]>([
  ['the same', ALL, {}, 'same', null],
  [
    'a call that would be refused',
    'permit (principal in Role::"devops", action, resource);',
    {},
    'differs',
    /was allowed, would be refused/,
  ],
  ['a call that would be asked about', ASKS, {}, 'differs', /with a person's approval/],
  [
    'a call that would be allowed',
    ALL,
    { decision: { ...said, rule: 'cedar', effect: 'deny' } },
    'differs',
    /was refused, would be allowed/,
  ],
  ['an approval', ASKS, { decision: asked }, 'same', null],
  ['a standing one', ASKS, { decision: { ...asked, rule: 'auto_approve', effect: 'standing_approval' } }, 'same', null],
  [
    'other approvers',
    '@approval("required") @approvers("admin") permit (principal, action, resource);',
    { decision: asked },
    'differs',
    /other people/,
  ],
  ['a record of an older server', ALL, { decision: { rule: 'allowed', reason: '', policy_version: '1' } }, 'same', null],
  ['an older refusal', ALL, { decision: { rule: 'path_scope', reason: '', policy_version: '1' } }, 'differs', /was refused/],
  ['redacted arguments', ALL, { args: { text: '[secret:TOKEN]' }, args_digest: 'f'.repeat(64) }, 'undecidable', /not on record/],
  ['an unknown tool', ALL, { tool_name: 'gone.tool' }, 'undecidable', /no tool/],
  ['a refusal of the policy server', ALL, { decision: { ...said, rule: 'opa', effect: 'deny' } }, 'undecidable', /policy server/],
  ['a call that policy was not asked about', ALL, { decision: null }, 'undecided', null],
  [
    'a call that was refused for a secret in its arguments',
    ALL,
    { decision: null, args: { deep: ['a [secret:TOKEN] b'] } },
    'undecidable',
    /held a secret/,
  ],
  ['a step of the system', ALL, { actor: { kind: 'system', id: 'cloister' } }, 'undecided', null],
  ['a call of an admin', ALL, { actor: { kind: 'user', id: 'default/root' } }, 'same', null],
])('%s', async (_, policies, fields, verdict, reason) => {
  const [answer] = await replay(decider(policies), sampleSession(), [call(fields)])
  expect(answer).toMatchObject({ verdict, reason: reason === null ? null : expect.stringMatching(reason) })
})

it('goes by the roles and the network of the record', async () => {
  const text = 'permit (principal in Role::"devops", action, resource) when { context.network == "host" };'
  const principal = { tenant_id: 'default', actor_id: 'alice', roles: ['devops'] }
  const verdicts = []
  for (const session of [
    sampleSession({ principal, network: 'host' }),
    sampleSession({ principal }),
    sampleSession({ network: 'host' }),
  ])
    verdicts.push((await replay(decider(text), session, [call()]))[0]?.verdict)
  expect(verdicts).toEqual(['same', 'differs', 'differs'])
})

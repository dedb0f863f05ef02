import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { admin, agentOf, alice, Gate, mallory } from '../../../test/support/gate.ts'
import type { Approval } from '../../domain/approval.ts'
import type { Caller } from '../../domain/principal.ts'
import type { Session } from '../../domain/session.ts'
import { CedarPolicySet } from '../../policy/cedar/cedar-policy-set.ts'
import { LayeredPolicyEngine } from '../../policy/layered-policy-engine.ts'
import type { PolicyVerdict } from '../../policy/policy-verdict.ts'
import { RulePolicyEngine } from '../../policy/rule-policy-engine.ts'
import read from '../../tools/fs/read.ts'
import write from '../../tools/fs/write.ts'

const cedar = (text: string) => new CedarPolicySet([{ name: 'test.cedar', text }], [read.metadata, write.metadata])
const READS = '@id("reads") permit (principal, action == Action::"fs.read", resource);'
const WRITES = (approvers: string) =>
  `${READS} @id("writes") @approval("required") @approvers("${approvers}") @approval_ttl("10m") permit (principal, action == Action::"fs.write", resource);`
const BY_OTHERS = WRITES('role:devops, principal:default/carol')

const user = (actor_id: string, fields: Partial<Extract<Caller, { kind: 'user' }>> = {}): Caller => ({
  kind: 'user',
  tenant_id: 'default',
  actor_id,
  admin: false,
  tool_roles: ['developer'],
  ...fields,
})
const carol = user('carol')
const dave = user('dave', { tool_roles: ['devops'] })
const eve = user('eve', { tenant_id: 'evil', tool_roles: ['devops'] })

/** What a policy server would say; null: there is none. */
const opa: { verdict: PolicyVerdict | Promise<PolicyVerdict> } = {
  verdict: { effect: 'allow', reason: null, policies: [], demands: [] },
}
const engine = new LayeredPolicyEngine({
  rules: new RulePolicyEngine(),
  cedar: cedar(BY_OTHERS),
  opa: { url: 'http://opa.example/v1/data/x', decide: async () => opa.verdict },
})
let gate: Gate
beforeAll(async () => {
  gate = await Gate.open({ dependencies: { policy: engine } })
})
afterAll(async () => await gate?.close())

async function asked(session: Session, content = 'hola'): Promise<Approval> {
  const args = { path: 'a.txt', content }
  const record = await gate.invoke(session, 'fs.write', args, { request_approval: true, caller: agentOf(session.id) })
  expect(record.status).toBe('pending_approval')
  return (await gate.store.approvals.ofInvocation(record.id)) as Approval
}
const code = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code,
  )

describe('people whom policy names', () => {
  it.each([
    ['a named principal', carol],
    ['somebody with the role', dave],
  ])('%s sees that approval, approves it, and sees nothing else of the session', async (_, caller) => {
    const session = await gate.session()
    const approval = await asked(session)
    expect(approval).toMatchObject({ approvers: [['role:devops', 'principal:default/carol']], policy_version: engine.version })
    expect(Date.parse(approval.expires_at) - Date.parse(approval.created_at)).toBe(600_000)
    const page = await gate.approvals.list(caller, { session_id: session.id }, { limit: 50, cursor: null })
    expect(page.items.map(({ id }) => id)).toEqual([approval.id])
    expect((await gate.approvals.get(caller, approval.id)).id).toBe(approval.id)
    const settled = gate.invocations.settled(approval.invocation_id)
    expect(await gate.approvals.approve(caller, approval.id, null)).toMatchObject({
      decided_by: expect.stringMatching(/^default\//),
    })
    expect(await settled).toMatchObject({ status: 'succeeded', decision: { effect: 'require_approval', policies: ['writes'] } })
    for (const attempt of [
      gate.invocations.get(caller, approval.invocation_id),
      gate.invocations.list(caller, session.id, {}, { limit: 10, cursor: null }),
      gate.invocations.tools(caller, session.id, {}),
      gate.invocations.check(caller, session.id, 'fs.read', { path: 'a.txt' }),
      gate.invocations.cancel(caller, approval.invocation_id),
      gate.invoke(session, 'fs.read', { path: 'a.txt' }, { caller }),
    ])
      expect(await code(attempt)).toBe('not_found')
  })

  it('may say no', async () => {
    const session = await gate.session()
    const approval = await asked(session)
    expect((await gate.approvals.deny(carol, approval.id, 'no')).status).toBe('denied')
  })

  it.each<[string, Caller, string]>([
    ['somebody', mallory, 'not_found'],
    ['the role in another tenant', eve, 'not_found'],
    ['the owner, who is not named', alice, 'permission_denied'],
    ['an admin, who is not named', admin, 'permission_denied'],
  ])('%s may not approve', async (_, caller, expected) => {
    const session = await gate.session()
    const approval = await asked(session)
    expect(await code(gate.approvals.approve(caller, approval.id, null))).toBe(expected)
    const listed = await gate.approvals.list(caller, { session_id: session.id }, { limit: 50, cursor: null })
    expect(listed.items.length).toBe(expected === 'not_found' ? 0 : 1)
    expect((await gate.store.approvals.get(approval.id))?.status).toBe('pending')
    if (expected === 'permission_denied') expect((await gate.approvals.revoke(caller, approval.id, null)).status).toBe('revoked')
  })

  it('an agent never does, also one of a session whose approvals it asked for', async () => {
    const session = await gate.session()
    const approval = await asked(session)
    expect(await code(gate.approvals.approve(agentOf(session.id), approval.id, null))).toBe('permission_denied')
  })

  it('the owner who is not named cannot give the approval with the call, nor by a standing one', async () => {
    const by = { tenant_id: 'default', actor_id: 'alice', admin: false }
    const session = await gate.session({ auto_approve: [{ pattern: '*', by }] })
    const refused = await gate.refusal(session, 'fs.write', { path: 'a.txt', content: 'x' }, { approved: true })
    expect(refused).toMatchObject({ code: 'approval_required', details: { approvers: 'role:devops or principal:default/carol' } })
  })
})

describe('what changes while an approval waits', () => {
  it('is stale when the policies were replaced', async () => {
    const session = await gate.session()
    const approval = await asked(session)
    engine.replacePolicies(cedar(`// another text\n${BY_OTHERS}`))
    const settled = gate.invocations.settled(approval.invocation_id)
    await gate.approvals.approve(carol, approval.id, null)
    expect(await settled).toMatchObject({ status: 'denied', error: { details: { rule: 'approval_stale' } } })
  })

  it('is refused when the policies refuse it now', async () => {
    const session = await gate.session()
    const approval = await asked(session)
    engine.replacePolicies(cedar(READS))
    const settled = gate.invocations.settled(approval.invocation_id)
    await gate.approvals.approve(carol, approval.id, null)
    expect(await settled).toMatchObject({ status: 'denied', error: { details: { rule: 'cedar' } } })
    engine.replacePolicies(cedar(BY_OTHERS))
  })

  it('is stale when the policy server asks for other people now', async () => {
    const session = await gate.session()
    const approval = await asked(session)
    opa.verdict = { effect: 'allow', reason: null, policies: [], demands: [{ approvers: ['admin'], ttl_seconds: null }] }
    const settled = gate.invocations.settled(approval.invocation_id)
    await gate.approvals.approve(carol, approval.id, null)
    expect(await settled).toMatchObject({ status: 'denied', error: { details: { rule: 'approval_stale' } } })
    opa.verdict = { effect: 'allow', reason: null, policies: [], demands: [] }
  })
})

describe('a call and the policy server', () => {
  it('is refused by it, on record', async () => {
    opa.verdict = { effect: 'deny', reason: 'the policy server gave no decision: it did not answer in time', policies: [] }
    const session = await gate.session()
    const refused = await gate.refusal(session, 'fs.read', { path: 'a.txt' })
    expect(refused).toMatchObject({
      code: 'policy_denied',
      invocation: { status: 'denied', decision: { rule: 'opa', effect: 'deny', policy_version: engine.version } },
    })
    opa.verdict = { effect: 'allow', reason: null, policies: [], demands: [] }
  })

  it('is not begun when the session closes while it is asked', async () => {
    const session = await gate.session()
    let answer = (_: PolicyVerdict) => {}
    opa.verdict = new Promise((resolve) => {
      answer = resolve
    })
    const call = code(gate.invoke(session, 'fs.read', { path: 'a.txt' }))
    await expect.poll(() => gate.store.openInvocations.ofSession(session.id).then(({ length }) => length)).toBe(1)
    const closed = gate.invocations.abandonSession(session.id, 'the session was closed')
    answer({ effect: 'allow', reason: null, policies: [], demands: [] })
    await closed
    await call
    opa.verdict = { effect: 'allow', reason: null, policies: [], demands: [] }
    const { items } = await gate.invocations.list(alice, session.id, {}, { limit: 10, cursor: null })
    expect(items).toMatchObject([{ status: 'failed', error: { code: 'cancelled' } }])
  })
})

it('a check says what the gate would say, and leaves nothing', async () => {
  const session = await gate.session()
  const check = (tool: string, args: unknown) => gate.invocations.check(alice, session.id, tool, args)
  expect(await check('fs.read', { path: 'a.txt' })).toMatchObject({ effect: 'allow', allowed: true, policies: ['reads'] })
  expect(await check('fs.write', { path: 'a.txt', content: 'x' })).toMatchObject({
    effect: 'require_approval',
    allowed: true,
    requires_approval: true,
    policies: ['writes'],
    approvers: [['role:devops', 'principal:default/carol']],
    policy_version: engine.version,
  })
  expect(await check('fs.read', { path: '/etc/passwd' })).toMatchObject({ effect: 'deny', rule: 'path_scope', allowed: false })
  expect(await check('fs.list', {})).toMatchObject({ effect: 'deny', rule: 'cedar' })
  expect(await check('fs.read', {})).toMatchObject({ effect: 'deny', rule: 'args' })
  expect(await check('no.tool', {})).toMatchObject({ effect: 'deny', rule: 'tool' })
  // An agent has the tool policy.check, which is recorded.
  expect(await code(gate.invocations.check(agentOf(session.id), session.id, 'fs.read', {}))).toBe('permission_denied')
  expect((await gate.invocations.list(alice, session.id, {}, { limit: 10, cursor: null })).items).toEqual([])
})

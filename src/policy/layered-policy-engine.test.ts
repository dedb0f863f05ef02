import { describe, expect, it } from 'vitest'
import { CedarPolicySet } from './cedar/cedar-policy-set.ts'
import { LayeredPolicyEngine } from './layered-policy-engine.ts'
import type { PolicyVerdict } from './policy-verdict.ts'
import { sampleRequest, sampleTool } from './request.sample.ts'
import { RulePolicyEngine } from './rule-policy-engine.ts'

const ALL = '@id("all") permit (principal, action, resource);'
const ASKS = (annotations: string) => `@id("asks") @approval("required") ${annotations} permit (principal, action, resource);`
const NONE = 'permit (principal in Role::"platform_admin", action, resource);'
const yes: PolicyVerdict = { effect: 'allow', reason: null, policies: ['p'], demands: [] }
const no: PolicyVerdict = { effect: 'deny', reason: 'not today', policies: ['q'] }

const tool = sampleTool({})
const cedarSet = (text: string) => new CedarPolicySet([{ name: 'a.cedar', text }], [tool])
const engine = (text: string, opa: PolicyVerdict | null = null) => {
  const asked: unknown[] = []
  const made = new LayeredPolicyEngine({
    rules: new RulePolicyEngine(),
    cedar: cedarSet(text),
    opa: opa && {
      url: 'http://opa',
      decide: async (request) => {
        asked.push(request)
        return opa
      },
    },
  })
  return { made, asked }
}
const standing = (fields: object) => ({
  session: { auto_approve: [{ pattern: '*', by: { tenant_id: 'default', actor_id: 'alice', admin: false, ...fields } }] },
})
const needed = { tool: { requires_approval: true } }

describe('LayeredPolicyEngine', () => {
  it.each([
    ['all allow', ALL, yes, {}, { effect: 'allow', rule: 'allowed', policies: ['all', 'opa:p'] }],
    ['no policy server', ALL, null, {}, { effect: 'allow', policies: ['all'] }],
    [
      'the built-in rules refuse',
      ALL,
      yes,
      { session: { tools: { allow: [], deny: ['*'] } } },
      { effect: 'deny', rule: 'tool_selection', policies: [] },
    ],
    ['Cedar refuses', NONE, yes, {}, { effect: 'deny', rule: 'cedar', policies: [], violations: [{ rule: 'cedar' }] }],
    ['the policy server refuses', ALL, no, {}, { effect: 'deny', rule: 'opa', reason: 'not today', policies: ['q'] }],
    ['the tool asks', ALL, null, needed, { effect: 'require_approval', approvers: [['owner', 'admin']], ttl_seconds: null }],
    [
      'the args ask',
      ALL,
      null,
      { approval_reason: 'it overwrites' },
      { effect: 'require_approval', reason: expect.stringContaining('it overwrites') },
    ],
    [
      'a policy asks',
      ASKS('@approvers("admin") @approval_ttl("1h")'),
      null,
      {},
      { effect: 'require_approval', approvers: [['admin']], ttl_seconds: 3600, policies: ['asks'] },
    ],
    [
      'the strictest of all demands',
      `${ALL}${ASKS('@approvers("role:devops") @approval_ttl("2h")')} @approval("required") @approvers("admin") @approval_ttl("3h") permit (principal, action, resource);`,
      { ...yes, demands: [{ approvers: null, ttl_seconds: 60 }] } as PolicyVerdict,
      needed,
      { effect: 'require_approval', approvers: [['admin'], ['role:devops']], ttl_seconds: 60 },
    ],
    ['a standing approval', ALL, null, { ...needed, ...standing({}) }, { effect: 'standing_approval', by: 'default/alice' }],
    [
      'a standing approval of somebody who may not',
      ASKS('@approvers("admin")'),
      null,
      standing({}),
      { effect: 'require_approval' },
    ],
    [
      'a standing approval of an admin',
      ASKS('@approvers("admin")'),
      null,
      standing({ admin: true }),
      { effect: 'standing_approval' },
    ],
    [
      'a standing approval, and a role that is not known',
      ASKS('@approvers("role:devops")'),
      null,
      standing({}),
      { effect: 'require_approval' },
    ],
  ])('%s', async (_, text, opa, request, expected) => {
    const { made } = engine(text, opa)
    const decision = await made.decide(sampleRequest(request as Parameters<typeof sampleRequest>[0]))
    expect(decision).toMatchObject({ policy_version: made.version, ...expected })
  })

  it('asks the policy server last, and not about what is refused already', async () => {
    const { made, asked } = engine(NONE, yes)
    await made.decide(sampleRequest({}))
    expect(asked).toEqual([])
  })

  it('has a version of rules, policies and policy server', () => {
    const version = engine(ALL).made.version
    expect(engine(ALL).made.version).toBe(version)
    expect(engine(NONE).made.version).not.toBe(version)
    expect(engine(ALL, yes).made.version).not.toBe(version)
  })

  it('decides under one set, also when it is replaced meanwhile', async () => {
    const { made } = engine(ALL, yes)
    const version = made.version
    const under = made.decide(sampleRequest({}))
    made.replacePolicies(cedarSet(NONE))
    expect(await under).toMatchObject({ effect: 'allow', policy_version: version })
    expect(await made.decide(sampleRequest({}))).toMatchObject({ effect: 'deny', policy_version: made.version })
    expect(made.version).not.toBe(version)
  })
})

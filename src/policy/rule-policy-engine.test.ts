import { describe, expect, it } from 'vitest'
import type { AutoApproval } from '../domain/session.ts'
import type { PolicyRule } from './policy-engine.ts'
import { sampleRequest, sampleTool } from './request.sample.ts'
import { RULES, RulePolicyEngine } from './rule-policy-engine.ts'

const engine = new RulePolicyEngine()
const by = { tenant_id: 'default', actor_id: 'alice', admin: false }
const standing = (pattern: string, admin = false): AutoApproval => ({ pattern, by: { ...by, admin } })
const platformAdmin = { tenant_id: 'default', actor_id: 'alice', roles: ['platform_admin'] }

describe('RulePolicyEngine', () => {
  it('allows what no rule is against', () => {
    expect(engine.decide(sampleRequest({}))).toEqual({
      effect: 'allow',
      rule: 'allowed',
      reason: 'no rule is against it',
      policy_version: engine.version,
    })
  })

  it('names every rule that refuses, the first as the rule', () => {
    const decision = engine.decide(
      sampleRequest({
        session: { tools: { allow: ['git.*'], deny: [] } },
        tool: { risk_level: 'high', policy: { paths: [{ field: 'path', access: 'read' }] } },
        args: { path: '/etc/passwd' },
      }),
    )
    expect(decision).toMatchObject({
      effect: 'deny',
      rule: 'tool_selection',
      violations: [{ rule: 'tool_selection' }, { rule: 'risk_role' }, { rule: 'path_scope' }],
    })
  })

  const cases: { what: string; request: Parameters<typeof sampleRequest>[0]; effect: string }[] = [
    { what: 'approval by the tool', request: { tool: { requires_approval: true } }, effect: 'require_approval' },
    { what: 'approval by the args', request: { approval_reason: 'it overwrites' }, effect: 'require_approval' },
    {
      what: 'denied before anybody is asked',
      request: {
        tool: { requires_approval: true, policy: { paths: [{ field: 'path', access: 'write' }] } },
        args: { path: '../x' },
        session: { auto_approve: [standing('*')] },
      },
      effect: 'deny',
    },
    {
      what: 'a standing approval',
      request: { tool: { requires_approval: true }, session: { auto_approve: [standing('git.*'), standing('fs.*')] } },
      effect: 'standing_approval',
    },
    {
      what: 'a standing approval of something else',
      request: { tool: { requires_approval: true }, session: { auto_approve: [standing('git.*')] } },
      effect: 'require_approval',
    },
    {
      what: 'a standing approval for approval by args',
      request: { approval_reason: 'it overwrites', session: { auto_approve: [standing('fs.sample')] } },
      effect: 'standing_approval',
    },
    {
      what: 'high risk and a standing approval of a plain user',
      request: {
        tool: { requires_approval: true, risk_level: 'high' },
        session: { principal: platformAdmin, auto_approve: [standing('*')] },
      },
      effect: 'require_approval',
    },
    {
      what: 'high risk and a standing approval of an admin',
      request: {
        tool: { requires_approval: true, risk_level: 'high' },
        session: { principal: platformAdmin, auto_approve: [standing('*'), standing('fs.*', true)] },
      },
      effect: 'standing_approval',
    },
    {
      what: 'an argument of a kind that no rule understands',
      request: { tool: { policy: { paths: [{ field: 'path', access: 'read' }] } }, args: { path: 7 } },
      effect: 'deny',
    },
  ]
  it.each(cases)('$what: $effect', ({ request, effect }) => {
    expect(engine.decide(sampleRequest(request)).effect).toBe(effect)
  })

  it('tells who gave the standing approval', () => {
    const decision = engine.decide(
      sampleRequest({ tool: { requires_approval: true }, session: { auto_approve: [standing('fs.*')] } }),
    )
    expect(decision).toMatchObject({ by: 'default/alice', rule: 'auto_approve' })
  })

  it('denies when a rule throws or gives no verdict, and when there are no rules', () => {
    const throwing: PolicyRule = {
      name: 'throwing',
      check: () => {
        throw new TypeError('boom at /srv/internal')
      },
    }
    const silent = { name: 'silent', check: () => undefined } as unknown as PolicyRule
    for (const rule of [throwing, silent]) {
      const decision = new RulePolicyEngine([...RULES, rule]).decide(sampleRequest({}))
      expect(decision).toMatchObject({ effect: 'deny', rule: rule.name })
      expect(decision.reason).not.toContain('boom')
    }
    expect(new RulePolicyEngine([]).decide(sampleRequest({})).effect).toBe('deny')
    expect(new RulePolicyEngine([]).visible(sampleRequest({}).session, sampleTool())).toBe(false)
  })

  it('has a version that changes with its rules', () => {
    expect(new RulePolicyEngine().version).toBe(engine.version)
    expect(new RulePolicyEngine(RULES.slice(1)).version).not.toBe(engine.version)
  })

  it.each([
    { what: 'an ordinary tool', tool: {}, session: {}, visible: true },
    { what: 'a denied tool', tool: {}, session: { tools: { allow: [], deny: ['fs.*'] } }, visible: false },
    { what: 'a tool of high risk', tool: { risk_level: 'high' as const }, session: {}, visible: false },
    { what: 'a tool of the cluster', tool: { scope: 'cluster' as const }, session: {}, visible: false },
    { what: 'a tool that needs network', tool: { policy: { needs_network: true } }, session: {}, visible: false },
    {
      what: 'a tool that needs network and has it',
      tool: { policy: { needs_network: true } },
      session: { network: 'host' as const },
      visible: true,
    },
    { what: 'a tool that needs approval', tool: { requires_approval: true }, session: {}, visible: true },
  ])('shows $what: $visible', ({ tool, session, visible }) => {
    expect(engine.visible(sampleRequest({ session }).session, sampleTool(tool))).toBe(visible)
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { CatalogView, PolicyView } from '../../catalog/define-tool.ts'
import { loadCatalog } from '../../catalog/load-catalog.ts'
import { sampleSession } from '../../domain/session.sample.ts'
import { RulePolicyEngine } from '../../policy/rule-policy-engine.ts'
import check from './check.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start('process')
})
afterAll(async () => await workspace?.stop())

const loaded = await loadCatalog()
const catalog: CatalogView = {
  statistics: async () => new Map(),
  list: () => loaded.list().map((tool) => tool.metadata),
  get: (name) => loaded.get(name)?.metadata ?? null,
}
const engine = new RulePolicyEngine()
const session = sampleSession({ allowed_paths: ['src'] })

/** The engine that the gate asks. */
const policy: PolicyView = {
  check: async (toolName, args) => {
    const tool = catalog.get(toolName)
    if (!tool) throw new Error('asked about a tool that is not there')
    const caller = { kind: 'user' as const, ...session.owner, admin: false, tool_roles: ['developer'] }
    const decision = engine.decide({ caller, session, tool, args, approval_reason: null })
    return {
      allowed: decision.effect !== 'deny',
      reason: decision.reason,
      requires_approval: decision.effect === 'require_approval',
      violations: decision.effect === 'deny' ? decision.violations.map(({ rule, reason }) => `${rule}: ${reason}`) : [],
    }
  },
}

const ask = async (tool_name: string, args?: Record<string, unknown>) =>
  (await workspace.call(check, { tool_name, ...(args && { args }) }, { catalog, policy })).output

describe('policy.check', () => {
  it('says what would be allowed', async () => {
    expect(await ask('fs.read', { path: 'src/a.ts' })).toMatchObject({
      tool_name: 'fs.read',
      allowed: true,
      requires_approval: false,
      risk_level: 'low',
      side_effects: 'none',
    })
  })

  it('says what would need an approval', async () => {
    const args = { path: 'src/a.ts', content: '' }
    expect(await ask('fs.write', args)).toMatchObject({ allowed: true, requires_approval: true, risk_level: 'medium' })
  })

  it('says what would be refused, and why', async () => {
    const refused = await ask('fs.read', { path: '../../etc/passwd' })
    expect(refused).toMatchObject({
      allowed: false,
      requires_approval: false,
      reason: expect.stringContaining('leaves the workspace'),
    })
    expect(refused['violations']).toHaveLength(1)
    expect(await ask('fs.write', { path: 'docs/x', content: '' })).toMatchObject({ allowed: false })
    expect(await ask('repo.run_tests', {})).toMatchObject({ allowed: false, reason: expect.stringContaining('whole repository') })
  })

  it.each(['fs.nothing', '', '__proto__'])('knows no tool %j', async (name) => {
    if (name === '') expect(check.input.safeParse({ tool_name: name }).success).toBe(false)
    else
      expect(await ask(name)).toMatchObject({
        allowed: false,
        reason: expect.stringContaining(JSON.stringify(name)),
        risk_level: null,
        side_effects: null,
      })
  })

  it('runs nothing', async () => {
    const before = await workspace.started.sandbox.health()
    await ask('fs.write', { path: 'src/written.ts', content: 'x' })
    const { sandbox } = workspace.context(check)
    expect(await sandbox.stat('src/written.ts')).toBeNull()
    expect((await workspace.started.sandbox.health()).open_operations).toBe(before.open_operations)
  })
})

import { afterEach, describe, expect, it } from 'vitest'
import { Gate, mallory } from '../../../test/support/gate.ts'
import type { Caller } from '../../domain/principal.ts'
import type { Session } from '../../domain/session.ts'
import { MemoryInvocationStore } from '../../store/invocation-store/memory/memory-invocation-store.ts'
import suggest from '../../tools/tool/suggest.ts'

/** What the gate counts of calls that ended, and who is told. */

const alice: Caller = { kind: 'user', tenant_id: 'default', actor_id: 'alice', admin: false, tool_roles: ['developer'] }
let gate: Gate
afterEach(() => gate?.close())

const of = async (session: Session, tool: string, caller: Caller = alice) =>
  (await gate.invocations.toolStatistics(caller, session.id)).get(tool)

async function someCalls(session: Session): Promise<void> {
  for (let n = 0; n < 3; n++) await gate.invoke(session, 'fs.list')
  await gate.invoke(session, 'fs.list', { path: 'nowhere' })
  await gate.refusal(session, 'fs.list', { path: '/etc' })
  await gate.refusal(session, 'fs.write', { path: 'a', content: '' })
}

describe('the record of tools', () => {
  it('counts what succeeded, failed and was refused, in the transaction that ends the call', async () => {
    gate = await Gate.open()
    const session = await gate.session()
    await someCalls(session)
    expect(await of(session, 'fs.list')).toMatchObject({ calls: 5, succeeded: 3, failed: 1, denied: 1, success_rate: 0.75 })
    expect((await of(session, 'fs.list'))?.p95_duration_ms).toBeGreaterThan(0)
    expect(await of(session, 'fs.write')).toMatchObject({ calls: 1, denied: 1, success_rate: null, p95_duration_ms: null })
    expect(await of(session, 'git.status')).toBeUndefined()
  })

  it('says nothing of cancelled calls, of faults of ours, and of calls that came too often', async () => {
    gate = await Gate.open({ quota: { perMinutePerSession: 2 } })
    const session = await gate.session()
    await gate.refusal(session, 'test.fault')
    const slow = gate.invoke(session, 'test.slow')
    await expect.poll(() => gate.store.openInvocations.ofSession(session.id).then((open) => open[0]?.call.generation)).toBe(1)
    const [open] = await gate.store.openInvocations.ofSession(session.id)
    await gate.invocations.cancel(alice, open?.record.id ?? '')
    await slow
    await gate.refusal(session, 'fs.list')
    expect([...(await gate.invocations.toolStatistics(alice, session.id))]).toEqual([])
  })

  it.each(['sql', 'memory'] as const)('survives a restart, with records in %s', async (kind) => {
    const dependencies = () => (kind === 'memory' ? { invocationStore: new MemoryInvocationStore({ ttlSeconds: 60 }) } : {})
    const first = await Gate.open({ dependencies: dependencies() })
    gate = first
    const session = await gate.session()
    await someCalls(session)
    gate = await first.restarted({ dependencies: dependencies() })
    await first.store.close()
    expect(await of(session, 'fs.list')).toMatchObject({ calls: 5 })
  })

  it('is of the tenant, counted together, and of no other; a replayed call counts once', async () => {
    gate = await Gate.open()
    const session = await gate.session()
    for (let n = 0; n < 3; n++) await gate.invoke(session, 'fs.list', {}, { correlation_id: 'once' })
    const colleague = await gate.session({ owner: { tenant_id: 'default', actor_id: 'mallory' } })
    expect(await of(colleague, 'fs.list', mallory)).toMatchObject({ calls: 1 })
    const stranger: Caller = { ...alice, tenant_id: 'other' }
    const foreign = await gate.session({ owner: { tenant_id: 'other', actor_id: 'alice' } })
    expect(await of(foreign, 'fs.list', stranger)).toBeUndefined()
    await expect(gate.invocations.toolStatistics(stranger, session.id)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('is told only of tools that the session may use', async () => {
    gate = await Gate.open()
    await someCalls(await gate.session())
    const narrow = await gate.session({ tools: { allow: ['fs.write'], deny: [] } })
    expect([...(await gate.invocations.toolStatistics(alice, narrow.id)).keys()]).toEqual(['fs.write'])
  })

  it('is what tool.suggest goes by, over the gate', async () => {
    gate = await Gate.open({ tools: [suggest] })
    const session = await gate.session()
    const ask = async () => {
      const { output } = await gate.invoke(session, 'tool.suggest', { task: 'list files', family: 'fs' })
      const suggestions = output?.['suggestions'] as { name: string; why: string; record: object | null }[] | undefined
      return suggestions?.find(({ name }) => name === 'fs.list')
    }
    expect((await ask())?.record).toBeNull()
    for (let n = 0; n < 6; n++) await gate.invoke(session, 'fs.list', { path: 'nowhere' })
    const after = await ask()
    expect(after?.record).toMatchObject({ calls: 6, success_rate: 0, denied: 0 })
    expect(after?.why).toMatch(/record: 0 of 6 calls succeeded -\d/)
  })
})

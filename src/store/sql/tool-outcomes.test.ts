import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { OutcomeCount } from '../../domain/tool-statistics.ts'
import type { Store } from '../store.ts'
import { openSqliteStore } from './open-sqlite-store.ts'
import { scratch, session } from './records.fixture.ts'

let file: string
let store: Store
beforeEach(async () => {
  file = join(scratch(onTestFinished), 'store.db')
  store = await openSqliteStore(file)
  onTestFinished(() => store.close())
})

const read = { tool_name: 'fs.read', outcome: 'succeeded', duration_bucket: 2 } as const
const sorted = (counts: OutcomeCount[]) => counts.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

async function sessionOf(tenant_id: string): Promise<string> {
  const made = session({ owner: { tenant_id, actor_id: 'alice' } })
  await store.sessions.insert(made)
  return made.id
}

describe('counts of how calls ended', () => {
  test('add up by tenant, tool, outcome and duration, over days', async () => {
    const [a, b, other] = [await sessionOf('one'), await sessionOf('one'), await sessionOf('two')]
    await store.toolOutcomes.count(a, { ...read, day: '2026-01-01' })
    await store.toolOutcomes.count(b, { ...read, day: '2026-01-01' })
    await store.toolOutcomes.count(b, { ...read, day: '2026-01-02' })
    await store.toolOutcomes.count(b, { ...read, duration_bucket: 5, day: '2026-01-02' })
    await store.toolOutcomes.count(b, { ...read, outcome: 'denied', duration_bucket: 0, day: '2026-01-02' })
    await store.toolOutcomes.count(other, { ...read, day: '2026-01-02' })
    expect(sorted(await store.toolOutcomes.ofTenant('one', '2026-01-01'))).toEqual(
      sorted([
        { ...read, count: 3 },
        { ...read, duration_bucket: 5, count: 1 },
        { ...read, outcome: 'denied', duration_bucket: 0, count: 1 },
      ]),
    )
    expect(await store.toolOutcomes.ofTenant('two', '2026-01-01')).toEqual([{ ...read, count: 1 }])
    expect(await store.toolOutcomes.ofTenant('none', '2026-01-01')).toEqual([])
  })

  test('of days before the window are not looked at, and can be deleted', async () => {
    const id = await sessionOf('one')
    await store.toolOutcomes.count(id, { ...read, day: '2026-01-01' })
    await store.toolOutcomes.count(id, { ...read, day: '2026-01-02' })
    expect(await store.toolOutcomes.ofTenant('one', '2026-01-02')).toEqual([{ ...read, count: 1 }])
    await store.toolOutcomes.deleteBefore('2026-01-02')
    expect(await store.toolOutcomes.ofTenant('one', '2000-01-01')).toEqual([{ ...read, count: 1 }])
  })

  test('are gone with the transaction that they were made in, and are there after a restart', async () => {
    const id = await sessionOf('one')
    const counted = store.transaction(async (tx) => {
      await tx.toolOutcomes.count(id, { ...read, day: '2026-01-01' })
      throw new Error('undone')
    })
    await expect(counted).rejects.toThrow('undone')
    expect(await store.toolOutcomes.ofTenant('one', '2026-01-01')).toEqual([])
    await store.toolOutcomes.count(id, { ...read, day: '2026-01-01' })
    await store.close()
    store = await openSqliteStore(file)
    expect(await store.toolOutcomes.ofTenant('one', '2026-01-01')).toEqual([{ ...read, count: 1 }])
  })

  test('of no session are not made', async () => {
    await store.toolOutcomes.count('nothing', { ...read, day: '2026-01-01' })
    expect(await store.toolOutcomes.ofTenant('one', '2026-01-01')).toEqual([])
  })
})

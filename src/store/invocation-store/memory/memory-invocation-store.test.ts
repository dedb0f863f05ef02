import { expect, test } from 'vitest'
import { invocation } from '../../sql/records.fixture.ts'
import { MemoryInvocationStore } from './memory-invocation-store.ts'

const PAGE = { limit: 200, cursor: null }

test('a record is gone when its time is over, counted from the last put', async () => {
  let now = 0
  const store = new MemoryInvocationStore({ ttlSeconds: 10, clock: () => new Date(now) })
  const [first, second] = [invocation('ses_1'), invocation('ses_1')]
  await store.put(first)
  await store.put(second)
  now = 9_999
  expect(await store.get(first.id)).not.toBeNull()
  await store.put(first)
  now = 10_000
  expect(await store.get(second.id)).toBeNull()
  expect((await store.list('ses_1', {}, PAGE)).items.map((item) => item.id)).toEqual([first.id])
  now = 19_999
  expect(await store.get(first.id)).toBeNull()
})

test('the oldest records make room: by number', async () => {
  const store = new MemoryInvocationStore({ ttlSeconds: 10, maxRecords: 3 })
  const records = Array.from({ length: 5 }, () => invocation('ses_1'))
  for (const record of records) await store.put(record)
  expect(await Promise.all(records.map(async (record) => (await store.get(record.id)) !== null))).toEqual([
    false,
    false,
    true,
    true,
    true,
  ])
})

test('the oldest records make room: by size, which deleting and replacing give back', async () => {
  const big = (id: string) => invocation('ses_1', { id, output: { content: 'x'.repeat(10_000) } })
  const store = new MemoryInvocationStore({ ttlSeconds: 10, maxSize: 35_000 })
  for (let i = 0; i < 10; i++) await store.put(big('inv_same'))
  await store.put(big('inv_2'))
  await store.put(big('inv_3'))
  expect((await store.list('ses_1', {}, PAGE)).items).toHaveLength(3)
  await store.put(big('inv_4'))
  expect(await store.get('inv_same')).toBeNull()
  await store.deleteSession('ses_1')
  for (const id of ['inv_5', 'inv_6', 'inv_7']) await store.put(big(id))
  expect((await store.list('ses_1', {}, PAGE)).items).toHaveLength(3)
})

import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openSqliteStore } from '../../sql/open-sqlite-store.ts'
import { invocation, scratch } from '../../sql/records.fixture.ts'
import { SqlInvocationStore } from './sql-invocation-store.ts'

test('inside a transaction of the store it takes part: commits with it, and is undone with it', async () => {
  const store = await openSqliteStore(join(scratch(onTestFinished), 'store.db'))
  onTestFinished(() => store.close())
  const invocations = new SqlInvocationStore(store)
  const [kept, undone] = [invocation('ses_1'), invocation('ses_1')]
  await store.transaction(() => invocations.put(kept))
  const attempt = store.transaction(async () => {
    await invocations.put(undone)
    expect(await invocations.get(undone.id)).toEqual(undone)
    throw new Error('enough')
  })
  await expect(attempt).rejects.toThrow('enough')
  expect(await invocations.get(kept.id)).toEqual(kept)
  expect(await invocations.get(undone.id)).toBeNull()
})

test('a record that was damaged says so', async () => {
  const store = await openSqliteStore(join(scratch(onTestFinished), 'store.db'))
  onTestFinished(() => store.close())
  const invocations = new SqlInvocationStore(store)
  const record = invocation('ses_1')
  await invocations.put(record)
  await store.executor().updateTable('invocations').set({ record: '{"half":' }).execute()
  await expect(invocations.get(record.id)).rejects.toMatchObject({
    code: 'internal',
    message: expect.stringContaining(record.id),
  })
})

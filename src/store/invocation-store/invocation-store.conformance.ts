import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type RedisServer, startRedisServer } from '../../../test/support/redis-server.ts'
import { newId } from '../../domain/ids.ts'
import type { Invocation } from '../../domain/invocation.ts'
import { openSqliteStore } from '../sql/open-sqlite-store.ts'
import { at, invocation, scratch } from '../sql/records.fixture.ts'
import type { InvocationStore } from '../store.ts'
import { MemoryInvocationStore } from './memory/memory-invocation-store.ts'
import { SqlInvocationStore } from './sql/sql-invocation-store.ts'
import { ValkeyInvocationStore } from './valkey/valkey-invocation-store.ts'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedisServer()
})
afterAll(() => redis.stop())

/** What every backend must do. A new one is one line here. */
const BACKENDS: Record<string, () => Promise<InvocationStore>> = {
  sql: async () => {
    const store = await openSqliteStore(join(scratch(onTestFinished), 'store.db'))
    onTestFinished(() => store.close())
    return new SqlInvocationStore(store)
  },
  memory: async () => new MemoryInvocationStore({ ttlSeconds: 3600 }),
  valkey: async () => {
    const options = { host: '127.0.0.1', port: redis.port, db: 1, keyPrefix: newId('ses'), ttlSeconds: 3600 }
    const store = await ValkeyInvocationStore.open(options)
    onTestFinished(() => store.close())
    return store
  },
}

for (const [kind, make] of Object.entries(BACKENDS)) {
  describe(kind, () => {
    test('says what it is, and answers', async () => {
      const store = await make()
      expect(store.kind).toBe(kind)
      await store.ping()
    })

    test("a record comes back as it was put, and is nobody else's to change", async () => {
      const store = await make()
      const record = invocation('ses_1', {
        turn_id: 'trn_1',
        args: { nested: [{ a: null }], text: 'ü\0"' },
        approval: { kind: 'requested', by: 'default/alice', approval_id: 'apr_1' },
        decision: { rule: 'r', reason: 's', policy_version: '1' },
        exit_code: 1,
        output: { content: 'x'.repeat(100_000) },
        artifacts: [{ id: 'art_1', name: 'a', content_type: 'text/plain', size_bytes: 1, sha256: 'f', created_at: at(0) }],
        error: { code: 'tests_failed', message: 'm', retryable: false, details: { n: 1 } },
      })
      const put = structuredClone(record)
      await store.put(record)
      record.args['nested'] = 'changed'
      const read = await store.get(record.id)
      expect(read).toEqual(put)
      expect(Object.keys(read as Invocation)).toEqual(Object.keys(put))
      ;(read as Invocation).status = 'denied'
      expect(await store.get(record.id)).toEqual(put)
      expect(await store.get('inv_none')).toBeNull()
    })

    test('the same id again replaces', async () => {
      const store = await make()
      const record = invocation('ses_1', { status: 'failed' })
      await store.put(record)
      await store.put({ ...record, status: 'succeeded', tool_name: 'fs.list' })
      const { items } = await store.list('ses_1', {}, { limit: 10, cursor: null })
      expect(items).toEqual([{ ...record, status: 'succeeded', tool_name: 'fs.list' }])
      expect((await store.list('ses_1', { status: 'failed' }, { limit: 10, cursor: null })).items).toEqual([])
    })

    test('is listed newest first, filtered, of one session only', async () => {
      const store = await make()
      const records = [
        invocation('ses_1', { started_at: at(1), tool_name: 'fs.read', status: 'succeeded' }),
        invocation('ses_1', { started_at: at(3), tool_name: 'fs.write', status: 'denied' }),
        invocation('ses_1', { started_at: at(2), tool_name: 'fs.read', status: 'denied' }),
        invocation('ses_2', { started_at: at(9), tool_name: 'fs.read', status: 'denied' }),
      ]
      for (const record of records) await store.put(record)
      const ids = async (filter: { tool?: string; status?: Invocation['status'] }) =>
        (await store.list('ses_1', filter, { limit: 10, cursor: null })).items.map((item) =>
          records.findIndex((r) => r.id === item.id),
        )
      expect(await ids({})).toEqual([1, 2, 0])
      expect(await ids({ tool: 'fs.read' })).toEqual([2, 0])
      expect(await ids({ status: 'denied' })).toEqual([1, 2])
      expect(await ids({ tool: 'fs.read', status: 'succeeded' })).toEqual([0])
      expect(await ids({ tool: 'fs.*' })).toEqual([])
    })

    test('pages show everything once, also while records are put', async () => {
      const store = await make()
      const made = Array.from({ length: 17 }, (_, i) => invocation('ses_1', { started_at: at(Math.floor(i / 5)) }))
      for (const record of made) await store.put(record)
      const seen: string[] = []
      for (let cursor: string | null = null; ; ) {
        const page = await store.list('ses_1', {}, { limit: 4, cursor })
        seen.push(...page.items.map((item) => item.id))
        if (page.next_cursor === null) break
        cursor = page.next_cursor
        await store.put(invocation('ses_1', { started_at: at(100) }))
      }
      expect(seen).toHaveLength(17)
      expect([...seen].sort()).toEqual(made.map((record) => record.id).sort())
    })

    test.each(['x', '', 'e30'])('the cursor %j is refused', async (cursor) => {
      const store = await make()
      await expect(store.list('ses_1', {}, { limit: 4, cursor })).rejects.toMatchObject({ code: 'invalid_argument' })
    })

    test.each([0, 201])('a page of %d is refused', async (limit) => {
      const store = await make()
      await expect(store.list('ses_1', {}, { limit, cursor: null })).rejects.toMatchObject({ code: 'invalid_argument' })
    })

    test("a session's records go with it, and no others", async () => {
      const store = await make()
      const [mine, theirs] = [invocation('ses_1'), invocation('ses_2')]
      for (const record of [mine, theirs]) await store.put(record)
      await store.deleteSession('ses_1')
      await store.deleteSession('ses_none')
      expect(await store.get(mine.id)).toBeNull()
      expect(await store.get(theirs.id)).toEqual(theirs)
    })
  })
}

import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type RedisServer, startRedisServer } from '../../../../test/support/redis-server.ts'
import { CloisterError } from '../../../domain/errors.ts'
import { at, invocation } from '../../sql/records.fixture.ts'
import { ValkeyInvocationStore, type ValkeyInvocationStoreOptions } from './valkey-invocation-store.ts'

const PASSWORD = 'correct-horse-battery'
const PAGE = { limit: 200, cursor: null }
const AWAY = { code: 'store_unavailable', message: 'the invocation store does not answer: try again in a moment' }

let server: RedisServer
beforeAll(async () => {
  server = await startRedisServer(['--requirepass', PASSWORD, '--databases', '4'], PASSWORD)
})
afterAll(() => server.stop())
beforeEach(async () => {
  await server.client.flushall()
})

const settings = (): ValkeyInvocationStoreOptions => ({
  host: '127.0.0.1',
  port: server.port,
  db: 0,
  password: PASSWORD,
  keyPrefix: 'test',
  ttlSeconds: 3600,
  timeoutMs: 500,
})

async function open(options: Partial<ValkeyInvocationStoreOptions> = {}) {
  const store = await ValkeyInvocationStore.open({ ...settings(), ...options })
  onTestFinished(() => store.close())
  return store
}

describe('a server that cannot be used is told of when it is opened', () => {
  test.each([
    ['another password', { password: 'wrong' }, /database 0, cannot be used: .*WRONGPASS/],
    ['no password', { password: undefined }, /cannot be used: .*NOAUTH/],
    ['a database that it does not have', { db: 4 }, /database 4, cannot be used: .*DB index is out of range/],
    ['nobody there', { port: 1 }, /127\.0\.0\.1:1, database 0, cannot be used: .*ECONNREFUSED/],
  ])('%s', async (_what, options, message) => {
    const error = await ValkeyInvocationStore.open({ ...settings(), ...options }).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(CloisterError)
    expect(error).toMatchObject({ code: 'store_unavailable', message: expect.stringMatching(message) })
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain(PASSWORD)
  })

  test('one that takes the connection and says nothing', async () => {
    server.freeze()
    onTestFinished(() => server.thaw())
    await expect(ValkeyInvocationStore.open(settings())).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})

test('every key has the prefix, lies in the database asked for, and expires', async () => {
  const store = await open({ db: 3, keyPrefix: 'workspace:invocation', ttlSeconds: 60 })
  await store.put(invocation('ses_1', { id: 'inv_1' }))
  expect(await server.client.keys('*')).toEqual([])
  await server.client.select(3)
  onTestFinished(async () => void (await server.client.select(0)))
  const keys = (await server.client.keys('*')).sort()
  expect(keys).toEqual(['workspace:invocation:record:inv_1', 'workspace:invocation:session:ses_1'])
  for (const key of keys) expect(await server.client.ttl(key)).toSatisfy((ttl: number) => ttl > 0 && ttl <= 60)
})

test('two prefixes in one database know nothing of each other', async () => {
  const [mine, theirs] = [await open({ keyPrefix: 'a' }), await open({ keyPrefix: 'b' })]
  const record = invocation('ses_1')
  await mine.put(record)
  expect(await theirs.get(record.id)).toBeNull()
  expect((await theirs.list('ses_1', {}, PAGE)).items).toEqual([])
  await theirs.deleteSession('ses_1')
  expect(await mine.get(record.id)).toEqual(record)
})

describe('an expired record', () => {
  const expire = (id: string) => server.client.pexpire(`test:record:${id}`, 0)
  const members = () => server.client.zrange('test:session:ses_1', 0, -1)
  const fill = async (store: ValkeyInvocationStore, count: number, from = 0) => {
    const records = Array.from({ length: count }, (_, i) => invocation('ses_1', { started_at: at(from + i) }))
    for (const record of records) await store.put(record)
    return records
  }

  test('is gone, is skipped by lists over pages, and its entry goes', async () => {
    const store = await open()
    const records = await fill(store, 130)
    const kept = records.filter((_, i) => i % 60 === 7)
    for (const record of records) if (!kept.includes(record)) await expire(record.id)
    const seen: string[] = []
    for (let cursor: string | null = null; ; ) {
      const page = await store.list('ses_1', {}, { limit: 1, cursor })
      seen.push(...page.items.map(({ id }) => id))
      if (page.next_cursor === null) break
      cursor = page.next_cursor
    }
    expect(seen).toEqual(kept.map(({ id }) => id).reverse())
    expect(await members()).toEqual(kept.map(({ started_at, id }) => `${started_at} ${id}`))
  })

  test('leaves the index also when nobody ever lists it', async () => {
    const store = await open()
    for (const { id } of await fill(store, 20)) await expire(id)
    await fill(store, 5, 20)
    expect(await members()).toHaveLength(5)
  })

  test('is gone by the time that was set, and its session with it', async () => {
    const store = await open({ ttlSeconds: 1 })
    const [record] = await fill(store, 1)
    expect(await store.get(record?.id as string)).toEqual(record)
    await vi.waitFor(async () => expect(await server.client.keys('*')).toEqual([]), 5000)
    expect(await store.get(record?.id as string)).toBeNull()
  })
})

test('a session with many records goes whole', async () => {
  const store = await open()
  for (let i = 0; i < 120; i++) await store.put(invocation('ses_1', { started_at: at(i) }))
  await store.deleteSession('ses_1')
  expect(await server.client.keys('*')).toEqual([])
})

test('what was changed from outside is an error of ours, not an answer', async () => {
  const store = await open()
  await server.client.set('test:record:inv_1', '[]')
  await expect(store.get('inv_1')).rejects.toMatchObject({ code: 'internal' })
})

describe('while the server is away', () => {
  const everyMethod = (store: ValkeyInvocationStore): (() => Promise<unknown>)[] => [
    () => store.put(invocation('ses_1', { id: 'inv_lost' })),
    () => store.get('inv_1'),
    () => store.list('ses_1', {}, PAGE),
    () => store.deleteSession('ses_1'),
    () => store.ping(),
  ]

  test('killed: every method says so, nothing is done later, and it comes back by itself', async () => {
    const store = await open()
    await server.kill()
    for (const call of everyMethod(store)) await expect(call()).rejects.toMatchObject(AWAY)
    await server.restart()
    await vi.waitFor(() => store.ping(), 10_000)
    expect(await store.get('inv_lost')).toBeNull()
    await store.put(invocation('ses_1', { id: 'inv_new' }))
    expect(await store.get('inv_new')).toMatchObject({ id: 'inv_new' })
  })

  test('silent: the first call is given up, the next are refused without waiting, and it comes back by itself', async () => {
    const store = await open()
    server.freeze()
    onTestFinished(() => server.thaw())
    await expect(store.ping()).rejects.toMatchObject(AWAY)
    // Calls that waited would take longer than this test may.
    for (let i = 0; i < 50; i++) for (const call of everyMethod(store)) await expect(call()).rejects.toMatchObject(AWAY)
    server.thaw()
    await vi.waitFor(() => store.ping(), 10_000)
  })

  test('another password since: refused, and the password is in no error', async () => {
    const store = await open()
    await server.client.config('SET', 'requirepass', 'changed')
    await server.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    const error = await vi.waitFor(async () => {
      const thrown = await store.ping().then(
        () => null,
        (reason: unknown) => reason,
      )
      expect(inspect(thrown, { depth: null })).toMatch(/WRONGPASS/)
      return thrown
    }, 10_000)
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain(PASSWORD)
    await server.client.config('SET', 'requirepass', PASSWORD)
    await vi.waitFor(() => store.ping(), 10_000)
  })

  test('full: a put is refused whole', async () => {
    const store = await open()
    await server.client.config('SET', 'maxmemory', '1')
    onTestFinished(async () => void (await server.client.config('SET', 'maxmemory', '0')))
    const error = await store.put(invocation('ses_1')).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject(AWAY)
    expect(inspect(error, { depth: null })).not.toContain('hello')
    expect(await server.client.keys('*')).toEqual([])
  })
})

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { agentOf, alice, Gate } from '../../../test/support/gate.ts'
import { type RedisServer, startRedisServer } from '../../../test/support/redis-server.ts'
import type { Session } from '../../domain/session.ts'
import { ValkeyInvocationStore } from '../../store/invocation-store/valkey/valkey-invocation-store.ts'

/** The gate over a real server that keeps the finished records and goes away. */

let server: RedisServer
beforeAll(async () => {
  server = await startRedisServer()
})
afterAll(() => server.stop())

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function openStore() {
  const options = { host: '127.0.0.1', port: server.port, db: 0, keyPrefix: 'gate', ttlSeconds: 3600, timeoutMs: 500 }
  const invocationStore = await ValkeyInvocationStore.open(options)
  cleanups.push(() => invocationStore.close())
  return invocationStore
}

async function openGate() {
  const invocationStore = await openStore()
  const gate = await Gate.open({ dependencies: { invocationStore } })
  cleanups.push(() => gate.close())
  return { gate, invocationStore }
}

async function back(invocationStore: ValkeyInvocationStore) {
  await server.restart()
  await vi.waitFor(() => invocationStore.ping(), 10_000)
}

/** A call whose command has begun, and waits for the file `go`. */
async function underWay(gate: Gate, session: Session) {
  const answer = gate
    .invoke(session, 'test.slow', { text: 'once' }, { caller: agentOf(session.id), correlation_id: 'c' })
    .catch((error: unknown) => error)
  const id = await vi.waitFor(async () => {
    const [row] = await gate.store.openInvocations.ofSession(session.id)
    expect(await gate.store.logs.list(row?.record.id ?? '')).toContainEqual(expect.objectContaining({ message: 'started' }))
    return row?.record.id as string
  }, 20_000)
  return { id, answer }
}

const types = async (gate: Gate, session: Session) => (await gate.events(session)).map(({ type }) => type)
const rows = (gate: Gate, session: Session) => gate.store.openInvocations.ofSession(session.id)

describe('while the store of finished records is away', () => {
  it('a call is refused before anything is written or done, and works again afterwards', async () => {
    const { gate, invocationStore } = await openGate()
    const session = await gate.session()
    await server.kill()
    const call = () =>
      gate.invoke(session, 'fs.write', { path: 'a.txt', content: 'x' }, { approved: true, correlation_id: 'same' })
    await expect(call()).rejects.toMatchObject({ code: 'store_unavailable', status: 503 })
    expect(existsSync(gate.path(session, 'a.txt'))).toBe(false)
    expect(await rows(gate, session)).toEqual([])
    expect(await gate.events(session)).toEqual([])
    await back(invocationStore)
    const record = await call()
    expect(record.status).toBe('succeeded')
    expect(await call()).toEqual(record)
  })

  it('a call that runs meanwhile ends unrecorded, is open, and is recorded once as it ended, without being run again', async () => {
    const { gate, invocationStore } = await openGate()
    const session = await gate.session()
    const { id, answer } = await underWay(gate, session)
    await server.kill()
    writeFileSync(gate.path(session, 'go'), '')
    expect(await answer).toMatchObject({ code: 'store_unavailable', status: 503, details: { invocation_id: id } })
    expect(await types(gate, session)).toEqual(['invocation.requested', 'invocation.started'])
    expect((await gate.invocations.get(alice, id)).status).toBe('running')

    // The operator looks while the store is still away: nothing changes.
    await gate.invocations.resume()
    expect(await rows(gate, session)).toHaveLength(1)

    await back(invocationStore)
    // What the command would find if it ran again.
    writeFileSync(gate.path(session, 'ran.txt'), 'not again')
    await Promise.all([gate.invocations.resume(), gate.invocations.resume()])
    const record = await gate.invocations.settled(id)
    expect(record).toMatchObject({ id, status: 'succeeded', error: null })
    expect(await invocationStore.get(id)).toEqual(record)
    expect(await rows(gate, session)).toEqual([])
    expect((await types(gate, session)).filter((type) => type === 'invocation.completed')).toHaveLength(1)
    expect(readFileSync(gate.path(session, 'ran.txt'), 'utf8')).toBe('not again')
    expect(await gate.store.artifacts.ofInvocation(id)).toEqual(record.artifacts)
    const again = await gate.invoke(session, 'test.slow', { text: 'once' }, { caller: agentOf(session.id), correlation_id: 'c' })
    expect(again).toEqual(record)
  })

  it('a change of files that cannot be looked up again is recorded as it ended, also by the next server', async () => {
    const { gate, invocationStore } = await openGate()
    const session = await gate.session()
    writeFileSync(gate.path(session, 'a.txt'), 'one')
    const put = vi.spyOn(invocationStore, 'put').mockImplementationOnce(async (record) => {
      // It goes away between the call and its record.
      await server.kill()
      put.mockRestore()
      return invocationStore.put(record)
    })
    const args = { path: 'a.txt', old_string: 'one', new_string: 'two' }
    await expect(gate.invoke(session, 'fs.edit', args, { approved: true })).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(readFileSync(gate.path(session, 'a.txt'), 'utf8')).toBe('two')
    const [row] = await rows(gate, session)
    await back(invocationStore)
    const next = await gate.restarted({ dependencies: { invocationStore: await openStore() } })
    cleanups.push(() => next.close())
    await next.invocations.resume()
    expect(await next.invocations.settled(row?.record.id ?? '')).toMatchObject({
      status: 'succeeded',
      output: { path: 'a.txt' },
      approval: { kind: 'given' },
    })
  })

  it('a call that is over is not cancelled any more, whatever waits for its record', async () => {
    const { gate, invocationStore } = await openGate()
    const session = await gate.session()
    const { id, answer } = await underWay(gate, session)
    await server.kill()
    writeFileSync(gate.path(session, 'go'), '')
    await answer
    await expect(gate.invocations.cancel(alice, id)).rejects.toMatchObject({ code: 'store_unavailable' })
    await back(invocationStore)
    expect(await gate.invocations.cancel(alice, id)).toMatchObject({ status: 'succeeded' })
  })

  it('one that is cancelled meanwhile is recorded as cancelled', async () => {
    const { gate, invocationStore } = await openGate()
    const session = await gate.session()
    const { id, answer } = await underWay(gate, session)
    await server.kill()
    await expect(gate.invocations.cancel(alice, id)).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(await answer).toMatchObject({ code: 'store_unavailable' })
    await back(invocationStore)
    await gate.invocations.resume()
    expect(await gate.invocations.settled(id)).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
  })

  it('an approval that cannot be carried out is void when the refusal is recorded', async () => {
    const { gate, invocationStore } = await openGate()
    const session = await gate.session()
    writeFileSync(gate.path(session, 'a.txt'), 'one')
    const asked = await gate.invoke(session, 'fs.write', { path: 'a.txt', content: 'x' }, { request_approval: true })
    const approval = (await gate.store.approvals.ofInvocation(asked.id))?.id as string
    writeFileSync(gate.path(session, 'a.txt'), 'changed since')
    await server.kill()
    await gate.approvals.approve(alice, approval, null).catch(() => undefined)
    await back(invocationStore)
    await vi.waitFor(async () => {
      await gate.invocations.resume()
      expect(await gate.invocations.get(alice, asked.id)).toMatchObject({ status: 'denied' })
    }, 10_000)
    expect((await gate.store.approvals.get(approval))?.status).toBe('expired')
    expect(readFileSync(gate.path(session, 'a.txt'), 'utf8')).toBe('changed since')
  })
})

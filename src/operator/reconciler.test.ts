import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { sampleSession } from '../domain/session.sample.ts'
import type { Session } from '../domain/session.ts'
import { openSqliteStore } from '../store/sql/open-sqlite-store.ts'
import type { Store } from '../store/store.ts'
import { Reconciler } from './reconciler.ts'

const NOW = new Date('2026-01-01T12:00:00.000Z')
const sandbox = {
  kind: 'x',
  generation: 1,
  phase: 'running' as const,
  detail: {},
  isolation: null,
  started_at: NOW.toISOString(),
}

let folder: string
let store: Store
let did: string[]
let volumes: string[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-reconciler-'))
  store = await openSqliteStore(join(folder, 'cloister.db'))
  now = NOW
  did = []
  volumes = []
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

let now = NOW
function reconciler(retention = { sweep: async (_now: Date) => did.push('sweep') < 0 }): Reconciler {
  return new Reconciler({
    store,
    sessions: {
      close: async (_caller, id, reason) => {
        did.push(`close ${id}: ${reason}`)
        if (id === 'fails') throw new Error('it does not close')
        await store.sessions.update(id, { state: 'closed' })
        return (await store.sessions.get(id)) as Session
      },
    },
    sandboxes: {
      initialize: async (id) => {
        did.push(`initialize ${id}`)
        throw new Error('setup failed')
      },
      isInitializing: (id) => id === 'initializing-already',
      stop: async (id) => {
        did.push(`stop ${id}`)
        await store.sessions.update(id, { sandbox: null })
      },
    },
    approvals: {
      expireDue: async (now) => {
        did.push(`expire approvals ${now.toISOString()}`)
      },
    },
    invocations: { resume: async () => void did.push('resume') },
    turns: { kick: (id) => did.push(`kick ${id}`) },
    retention,
    volumes: { list: async () => volumes, destroy: async (id) => void did.push(`destroy ${id}`) },
    clock: () => now,
    logger: pino({ level: 'silent' }),
    intervalMs: 5000,
  })
}

const insert = (id: string, fields: Partial<Session>) =>
  store.sessions.insert(sampleSession({ id, last_activity_at: NOW.toISOString(), ...fields }))

it('does what is due, each once, and goes on when one of them fails', async () => {
  await insert('fails', { expires_at: '2026-01-01T11:00:00.000Z' })
  await insert('expired', { expires_at: '2026-01-01T11:00:00.000Z' })
  await insert('idle-too-long', { last_activity_at: '2026-01-01T01:00:00.000Z' })
  await insert('in-use', {})
  await insert('to-initialize', { state: 'initializing' })
  await insert('initializing-already', { state: 'initializing' })
  await insert('closed-with-sandbox', { state: 'closed', sandbox })
  await insert('deleted-with-sandbox', { state: 'deleted', sandbox })
  const operator = reconciler()
  await operator.runOnce()
  expect(did.toSorted()).toEqual([
    'close expired: expired',
    'close fails: expired',
    'close idle-too-long: idle timeout',
    `expire approvals ${NOW.toISOString()}`,
    'initialize to-initialize',
    'resume',
    'stop closed-with-sandbox',
    'stop deleted-with-sandbox',
    'sweep',
  ])
  did = []
  await operator.runOnce()
  expect(did.toSorted()).toEqual([
    'close fails: expired',
    `expire approvals ${NOW.toISOString()}`,
    'initialize to-initialize',
    'resume',
  ])
})

it('looks again when the next thing is due, and at least every interval', async () => {
  await insert('in-use', {})
  expect(await reconciler().runOnce()).toBe(5000)
  await insert('soon', { expires_at: '2026-01-01T12:00:01.500Z' })
  expect(await reconciler().runOnce()).toBe(1500)
})

it('looks for old remains at its start and every hour, and at once while there are more', async () => {
  let more = true
  const sweeps: number[] = []
  const operator = reconciler({
    sweep: async (at) => {
      sweeps.push(at.getTime() - NOW.getTime())
      return more
    },
  })
  await operator.runOnce()
  more = false
  for (const minutes of [1, 59, 60, 61, 62]) {
    now = new Date(NOW.getTime() + minutes * 60_000)
    await operator.runOnce()
  }
  expect(sweeps).toEqual([0, 60_000, 61 * 60_000])
})

it('wakes sessions in which messages wait', async () => {
  await insert('waiting', {})
  await store.messages.insert({
    id: 'msg_1',
    session_id: 'waiting',
    role: 'user',
    content: 'hi',
    turn_id: null,
    usage: null,
    created_at: NOW.toISOString(),
  })
  await reconciler().runOnce()
  expect(did).toContain('kick waiting')
})

it('destroys volumes that belong to no session', async () => {
  await insert('alive', {})
  await insert('closed', { state: 'closed' })
  await insert('deleted', { state: 'deleted' })
  volumes = ['alive', 'closed', 'deleted', 'unknown']
  await reconciler().sweepVolumes()
  expect(did).toEqual(['destroy deleted', 'destroy unknown'])
})

it('stops between passes', async () => {
  const operator = reconciler()
  operator.start()
  await operator.stop()
  const passes = did.length
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(did).toHaveLength(passes)
})

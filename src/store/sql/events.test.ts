import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Event, eventHash, GENESIS_HASH } from '../../domain/event.ts'
import type { NewEvent } from '../store.ts'
import { openSqliteStore } from './open-sqlite-store.ts'
import { at, scratch, session } from './records.fixture.ts'
import type { SqlStore } from './sql-store.ts'

let file: string
let store: SqlStore
let id: string

beforeEach(async () => {
  file = join(scratch(onTestFinished), 'store.db')
  store = await openSqliteStore(file)
  onTestFinished(() => store.close())
  id = (await stored(store)).id
})

async function stored(into: SqlStore) {
  const made = session()
  await into.sessions.insert(made)
  return made
}

function event(data: Record<string, unknown> = {}): NewEvent {
  return { type: 'session.updated', at: at(0), actor: { kind: 'user', id: 'default/alice' }, data }
}

async function appendMany(count: number): Promise<void> {
  await store.transaction(async (tx) => {
    for (let i = 1; i <= count; i++) await tx.events.append(id, event({ i }))
  })
}

/** As somebody with the file in his hands: past every rule of ours. */
function tamper(...statements: string[]): void {
  const raw = new DatabaseSync(file, { enableForeignKeyConstraints: false })
  for (const statement of statements) raw.prepare(statement).run()
  raw.close()
}

test('50 appends at once get the seqs 1 to 50, each hashed on its predecessor', async () => {
  const other = await stored(store)
  const appended = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      await store.events.append(other.id, event({ i }))
      return store.events.append(id, event({ i }))
    }),
  )
  expect(appended.map((entry) => entry.seq).sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
  const listed = await store.events.list(id, 0, 100)
  expect(listed).toEqual(appended.sort((a, b) => a.seq - b.seq))
  expect(listed[0]?.prev_hash).toBe(GENESIS_HASH)
  for (const [i, entry] of listed.entries()) {
    expect(entry.hash).toBe(eventHash(entry))
    if (i > 0) expect(entry.prev_hash).toBe(listed[i - 1]?.hash)
  }
  expect(await store.events.lastSeq(id)).toBe(50)
  expect(await store.events.verify(id)).toEqual({ valid: true, events: 50 })
  expect(await store.events.verify(other.id)).toEqual({ valid: true, events: 50 })
})

test('what is returned is what is read: nothing that JSON drops or changes is in it', async () => {
  const data = { gone: undefined, text: 'a\0\ud800"\u2028é', number: -0, nested: [{ b: 1, a: [null] }], big: 2 ** 60 }
  const appended = await store.events.append(id, event(data))
  expect(await store.events.list(id, 0, 10)).toEqual([appended])
  expect('gone' in appended.data).toBe(false)
  expect(await store.events.verify(id)).toEqual({ valid: true, events: 1 })
  await expect(store.events.append(id, event({ n: Number.NaN }))).rejects.toThrow('no JSON form')
  expect((await store.events.append(id, event())).seq).toBe(2)
})

test('listing goes on after a seq, in order', async () => {
  await appendMany(12)
  expect((await store.events.list(id, 0, 5)).map((entry: Event) => entry.seq)).toEqual([1, 2, 3, 4, 5])
  expect((await store.events.list(id, 10, 5)).map((entry: Event) => entry.seq)).toEqual([11, 12])
  expect(await store.events.list(id, 12, 5)).toEqual([])
  expect(await store.events.lastSeq('ses_none')).toBe(0)
})

test('no log without a session', async () => {
  await expect(store.events.append('ses_none', event())).rejects.toMatchObject({ code: 'not_found' })
  await expect(store.events.verify('ses_none')).rejects.toMatchObject({ code: 'not_found' })
})

test('a transaction that throws takes its events with it, and their seqs are used again', async () => {
  await store.events.append(id, event())
  const failure = new Error('enough')
  const attempt = store.transaction(async (tx) => {
    await tx.sessions.update(id, { name: 'changed' })
    expect((await tx.events.append(id, event())).seq).toBe(2)
    expect((await tx.events.append(id, event())).seq).toBe(3)
    throw failure
  })
  await expect(attempt).rejects.toBe(failure)
  expect(await store.events.lastSeq(id)).toBe(1)
  expect((await store.sessions.get(id))?.name).toBe('a session')
  expect((await store.events.append(id, event())).seq).toBe(2)
  expect(await store.events.verify(id)).toEqual({ valid: true, events: 2 })
})

test('verification holds while events are appended, over more than one piece of the log', async () => {
  await appendMany(1200)
  const [verdicts] = await Promise.all([
    Promise.all([store.events.verify(id), store.events.verify(id)]),
    ...Array.from({ length: 20 }, () => store.events.append(id, event())),
  ])
  for (const verdict of verdicts) expect(verdict.valid).toBe(true)
  expect(await store.events.verify(id)).toEqual({ valid: true, events: 1220 })
  tamper(`update events set data = '{"i":0}' where seq = 1100`)
  expect(await store.events.verify(id)).toMatchObject({ valid: false, broken_at: 1100 })
})

describe('verify names the first broken event', () => {
  const SWAP = [
    'update events set seq = 1000 where seq = 3',
    'update events set seq = 3 where seq = 7',
    'update events set seq = 7 where seq = 1000',
  ]
  const COPY = `insert into events select session_id, 11, type, at, actor, data, (select hash from events where seq = 10), hash from events where seq = 5`
  test.each([
    ['changed data', [`update events set data = '{"i":99}' where seq = 4`], 4],
    ['changed type', [`update events set type = 'session.deleted' where seq = 4`], 4],
    ['changed time', [`update events set at = '2020-01-01T00:00:00.000Z' where seq = 4`], 4],
    ['changed actor', [`update events set actor = '{"kind":"system","id":"x"}' where seq = 4`], 4],
    ['changed hash', [`update events set hash = '${'a'.repeat(64)}' where seq = 4`], 4],
    ['changed predecessor', [`update events set prev_hash = '${'a'.repeat(64)}' where seq = 4`], 4],
    ['a removed event', ['delete from events where seq = 4'], 4],
    [
      'a removed event whose place was closed',
      [
        'delete from events where seq = 4',
        'update events set seq = -seq where seq > 4',
        'update events set seq = -seq - 1 where seq < 0',
      ],
      4,
    ],
    ['the first removed', ['delete from events where seq = 1'], 1],
    ['all removed', ['delete from events'], 1],
    ['swapped', SWAP, 3],
    ['inserted at the end', [COPY], 11],
    [
      'inserted before the beginning',
      [`insert into events select session_id, 0, type, at, actor, data, prev_hash, hash from events where seq = 1`],
      1,
    ],
    [
      'a fraction between two',
      [`insert into events select session_id, 4.5, type, at, actor, data, prev_hash, hash from events where seq = 4`],
      5,
    ],
    ['a cut tail', ['delete from events where seq > 8'], 9],
    ['the last removed', ['delete from events where seq = 10'], 10],
    ['data that is no JSON', [`update events set data = 'garbage{' where seq = 6`], 6],
    ['data that is no object', [`update events set data = '[1]' where seq = 6`], 6],
    ['an actor that is no JSON', [`update events set actor = '' where seq = 6`], 6],
    ['a number beyond all numbers', [`update events set data = '{"i":1e999}' where seq = 6`], 6],
    [
      'nesting without end',
      [
        `update events set data = '{"i":' || replace(hex(zeroblob(50000)), '0', '[') || replace(hex(zeroblob(50000)), '0', ']') || '}' where seq = 6`,
      ],
      6,
    ],
    ['a seq that is no number', [`update events set seq = 'x' where seq = 6`], 6],
    ['data that is a blob', [`update events set data = x'00ff' where seq = 6`], 6],
    ["another session's log", [`update sessions set event_hash = '${'b'.repeat(64)}'`], 10],
  ])('%s', async (_, statements, brokenAt) => {
    await appendMany(10)
    expect(await store.events.verify(id)).toEqual({ valid: true, events: 10 })
    tamper(...statements)
    expect(await store.events.verify(id)).toMatchObject({ valid: false, broken_at: brokenAt, reason: expect.any(String) })
  })

  test('also in a transaction', async () => {
    await appendMany(3)
    tamper('delete from events where seq = 3')
    expect(await store.transaction((tx) => tx.events.verify(id))).toMatchObject({ valid: false, broken_at: 3 })
  })

  test('an event that nobody appended does not become part of the log', async () => {
    await appendMany(3)
    tamper(`insert into events select session_id, 4, type, at, actor, data, prev_hash, hash from events where seq = 3`)
    await expect(store.events.append(id, event())).rejects.toMatchObject({ code: 'internal' })
    expect(await store.events.verify(id)).toMatchObject({ valid: false, broken_at: 4 })
  })

  test('reading a row that cannot be read says which', async () => {
    await appendMany(3)
    tamper(`update events set data = 'garbage{' where seq = 2`)
    await expect(store.events.list(id, 0, 10)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('event 2'),
    })
    expect(await store.events.list(id, 2, 10)).toHaveLength(1)
  })
})

test('kill -9 while appending loses nothing that was acknowledged, and leaves no half of anything', {
  timeout: 120_000,
}, async () => {
  await store.close()
  let acknowledged = 0
  for (const wanted of [3, 40, 120]) {
    const child = spawn(process.execPath, [fileURLToPath(new URL('appender.fixture.ts', import.meta.url)), file, id], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const closed = once(child, 'close')
    let last = 0
    let lines = 0
    createInterface({ input: child.stdout }).on('line', (line) => {
      last = Number(line)
      if (++lines === wanted) child.kill('SIGKILL')
    })
    expect((await closed)[1]).toBe('SIGKILL')
    expect(last).toBeGreaterThan(acknowledged)
    acknowledged = last

    const reopened = await openSqliteStore(file)
    const verdict = await reopened.events.verify(id)
    expect(verdict.valid).toBe(true)
    expect(verdict.events).toBeGreaterThanOrEqual(acknowledged)
    const messages = await reopened.messages.all(id)
    expect(messages).toHaveLength(verdict.events)
    acknowledged = verdict.events
    await reopened.close()
  }
  store = await openSqliteStore(file)
})

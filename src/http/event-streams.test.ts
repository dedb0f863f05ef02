import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type SampleApp, sampleApp } from '../../test/http/sample-app.ts'
import { SYSTEM } from '../domain/principal.ts'
import type { EventLog } from '../services/event-log.ts'
import { EventStreams } from './event-streams.ts'

let sample: SampleApp
let session: string

beforeEach(async () => {
  sample = await sampleApp()
  const made = await sample.app.inject({
    method: 'POST',
    url: '/v1/sessions',
    headers: { authorization: sample.alice },
    payload: {},
  })
  session = made.json().session.id
})
afterEach(() => sample.close())

const append = (n: number) => sample.eventLog.append(session, 'turn.step', SYSTEM, { n })

async function listen(): Promise<string> {
  return sample.app.listen({ port: 0, host: '127.0.0.1' })
}

async function open(base: string, headers: Record<string, string> = {}, query = ''): Promise<Response> {
  const url = `${base}/v1/sessions/${session}/events${query}`
  return fetch(url, { headers: { accept: 'text/event-stream', authorization: sample.alice, ...headers } })
}

/** Reads until `enough` says so, then hangs up. */
async function read(response: Response, enough: (text: string) => boolean): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true })
    if (enough(text)) break
  }
  return text
}

const ids = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))

test('what is there, then what happens, with the seq as id; deltas without one', async () => {
  await append(1)
  const response = await open(await listen())
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  expect(response.headers.get('x-request-id')).toMatch(/^req_/)
  const text = read(response, (sofar) => sofar.includes('"n":2'))
  await sleep(20)
  sample.eventLog.delta(session, 'message.delta', { text: 'hi' })
  await append(2)
  const received = await text
  expect(ids(received)).toEqual([1, 2, 3])
  expect(received).toMatch(/\n\nevent: message.delta\ndata: \{"session_id":"[^"]+","type":"message.delta"/)
  expect(received.indexOf('message.delta')).toBeLessThan(received.indexOf('"n":2'))
})

test.each([
  ['Last-Event-ID', { 'last-event-id': '3' }, '', [4, 5, 6]],
  ['?after', {}, '?after=4', [5, 6]],
  ['Last-Event-ID before ?after', { 'last-event-id': '5' }, '?after=1', [6]],
])('resumes by %s', async (_what, headers, query, expected) => {
  for (let n = 1; n <= 5; n++) await append(n)
  const text = await read(await open(await listen(), headers, query), (sofar) => sofar.includes('"n":5'))
  expect(ids(text)).toEqual(expected)
})

test.each(['x', '-1', '1.5', '1e3', ' ', '99999999999999999999'])('a Last-Event-ID that is none (%j) is refused', async (id) => {
  const answer = await sample.app.inject({
    url: `/v1/sessions/${session}/events`,
    headers: { authorization: sample.alice, accept: 'text/event-stream', 'last-event-id': id },
  })
  expect([answer.statusCode, answer.json().error.code]).toEqual([400, 'invalid_argument'])
})

test.each(['*/*', 'application/json', 'text/event-stream;q=0', undefined])('Accept %s gets pages', async (accept) => {
  for (let n = 1; n <= 4; n++) await append(n)
  const headers = { authorization: sample.alice, ...(accept === undefined ? {} : { accept }) }
  const first = (await sample.app.inject({ url: `/v1/sessions/${session}/events?limit=3`, headers })).json()
  expect([first.events.map((event: { seq: number }) => event.seq), first.next_after]).toEqual([[1, 2, 3], 3])
  const second = (await sample.app.inject({ url: `/v1/sessions/${session}/events?after=3`, headers })).json()
  expect([second.events.length, second.next_after]).toEqual([2, 5])
  expect((await sample.app.inject({ url: `/v1/sessions/${session}/events?after=5`, headers })).json()).toEqual({
    events: [],
    next_after: 5,
  })
})

test('many writers while it is read from the beginning: no gap, no duplicate', async () => {
  for (let n = 0; n < 300; n++) await append(n)
  const response = await open(await listen())
  const text = read(response, (sofar) => sofar.includes('id: 601\n') && sofar.endsWith('\n\n'))
  await Promise.all(Array.from({ length: 300 }, (_, n) => append(1000 + n)))
  expect(ids(await text)).toEqual(Array.from({ length: 601 }, (_, i) => i + 1))
})

test('events heard out of order are sent in order', async () => {
  const events = [await append(1), await append(2), await append(3)]
  const listeners: ((entry: (typeof events)[number]) => void)[] = []
  let stored = 1
  const log = {
    subscribe: (_id: string, listener: (typeof listeners)[number]) => {
      listeners.push(listener)
      return () => {}
    },
    list: async (_id: string, after: number) =>
      (await sample.eventLog.list(session, after, 100)).filter((event) => event.seq <= stored),
  } as unknown as EventLog
  const streams = new EventStreams(log, { heartbeat_ms: 60_000, stall_ms: 60_000 })
  const { stream, end } = streams.start({ sessionId: session, after: 0, stillAllowed: async () => true, drop: () => {} })
  let text = ''
  stream.on('data', (chunk) => {
    text += chunk
  })
  await sleep(10)
  stored = 4
  for (const event of [events[2], events[0], events[1]]) if (event) listeners[0]?.(event)
  await expect.poll(() => ids(text)).toEqual([1, 2, 3, 4])
  end()
  await once(stream, 'end')
  expect(streams.open).toBe(0)
})

test('a reader that takes nothing costs little, misses no event, and is dropped in the end', async () => {
  let dropped = false
  const streams = new EventStreams(sample.eventLog, { heartbeat_ms: 20, stall_ms: 100 })
  const { stream } = streams.start({
    sessionId: session,
    after: 0,
    stillAllowed: async () => true,
    drop: () => {
      dropped = true
    },
  })
  stream.read(0)
  for (let n = 0; n < 400; n++) sample.eventLog.delta(session, 'invocation.output', { chunk: 'x'.repeat(10_000) })
  for (let n = 0; n < 10; n++) await append(n)
  await expect.poll(() => dropped).toBe(true)
  expect(streams.open).toBe(0)

  const patient = new EventStreams(sample.eventLog, { heartbeat_ms: 60_000, stall_ms: 60_000 })
  const slow = patient.start({ sessionId: session, after: 0, stillAllowed: async () => true, drop: () => {} })
  slow.stream.read(0)
  await sleep(10)
  for (let n = 0; n < 400; n++) sample.eventLog.delta(session, 'invocation.output', { chunk: 'y'.repeat(10_000) })
  for (let n = 0; n < 10; n++) await append(100 + n)
  expect(slow.stream.readableLength).toBeLessThan(300_000)
  let text = ''
  for await (const chunk of slow.stream) {
    text += chunk
    if (text.includes('"n":109')) break
  }
  expect(ids(text)).toEqual(Array.from({ length: 21 }, (_, i) => i + 1))
  // 4 MB of deltas were heard; what was kept for later is bounded by 1 MiB.
  expect(text.match(/^event: invocation.output$/gm)?.length ?? 0).toBeLessThan(150)
  slow.end()
})

test('heartbeats while nothing happens', async () => {
  const text = await read(await open(await listen()), (sofar) => (sofar.match(/^: heartbeat$/gm) ?? []).length >= 2)
  expect(ids(text)).toEqual([1])
})

test('ends after the session was deleted, with that event as the last', async () => {
  const response = await open(await listen())
  await sleep(20)
  await sample.app.inject({ method: 'DELETE', url: `/v1/sessions/${session}`, headers: { authorization: sample.alice } })
  const text = await read(response, () => false)
  expect(text.trimEnd().split('\n\n').at(-1)).toContain('event: session.deleted')
})

test('ends when the credential does', async () => {
  const base = await listen()
  const made = await fetch(`${base}/v1/auth/tokens`, {
    method: 'POST',
    headers: { authorization: sample.alice, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'short' }),
  })
  const { token, value } = (await made.json()) as { token: { id: string }; value: string }
  const response = await open(base, { authorization: `Bearer ${value}` })
  const text = read(response, () => false)
  await fetch(`${base}/v1/auth/tokens/${token.id}`, { method: 'DELETE', headers: { authorization: sample.alice } })
  expect(ids(await text)).toEqual([1])
})

test('a reader that hangs up leaves nothing behind', async () => {
  const base = await listen()
  const gauge = async () => /cloister_event_streams (\d+)/.exec(await (await fetch(`${base}/metrics`)).text())?.[1]
  const responses = await Promise.all([open(base), open(base), open(base)])
  for (const response of responses) await read(response, (sofar) => sofar.includes('id: 1'))
  await expect.poll(gauge).toBe('0')
})

test('closing the server ends streams orderly and lets requests under way finish', async () => {
  const base = await listen()
  const stream = read(await open(base), () => false)
  const slow = fetch(`${base}/v1/sessions/${session}/tools/test.stuck/invoke`, {
    method: 'POST',
    headers: { authorization: sample.alice, 'content-type': 'application/json' },
    body: '{}',
  })
  await sleep(100)
  await sample.app.close()
  expect(ids(await stream)).toEqual([1])
  const answer = await slow
  expect([answer.status, ((await answer.json()) as { invocation: { status: string } }).invocation.status]).toEqual([
    200,
    'succeeded',
  ])
  await expect(fetch(`${base}/healthz`)).rejects.toThrow()
})

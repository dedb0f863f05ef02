import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PASSWORD, type SampleApp, sampleApp } from '../../test/http/sample-app.ts'
import type { Delta, Event } from '../domain/event.ts'
import { SYSTEM } from '../domain/principal.ts'
import { ApiError, CloisterClient, ConnectionError } from './cloister-client.ts'

let sample: SampleApp
let url: string
let client: CloisterClient

beforeAll(async () => {
  sample = await sampleApp()
  url = await sample.app.listen({ port: 0, host: '127.0.0.1' })
  const { token } = await new CloisterClient({ url }).login('alice', PASSWORD)
  client = new CloisterClient({ url, token })
})
afterAll(() => sample.close())

async function collect<T>(entries: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const entry of entries) collected.push(entry)
  return collected
}

/** A way to the server that can be cut. */
class Wire {
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  connections = 0

  constructor(port: number) {
    this.#server = createServer((incoming) => {
      this.connections++
      const outgoing = connect(port, '127.0.0.1')
      for (const socket of [incoming, outgoing]) {
        this.#sockets.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => {
          incoming.destroy()
          outgoing.destroy()
          this.#sockets.delete(socket)
        })
      }
      incoming.pipe(outgoing)
      outgoing.pipe(incoming)
    })
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    this.cut()
    this.#server.close()
  }
}

const wire = () => new Wire((sample.app.server.address() as AddressInfo).port)
const tokenOf = () => sample.alice.slice('Bearer '.length)

describe('operations', () => {
  test('the life of a session', async () => {
    const { session, warnings } = await client.createSession({ name: 'one', metadata: { a: 'b' }, model: undefined })
    expect([session.name, session.owner.actor_id, warnings]).toEqual(['one', 'alice', []])
    expect((await client.updateSession(session.id, { name: 'two' })).name).toBe('two')
    expect((await client.listSessions({ state: 'idle', limit: 1 })).sessions[0]?.id).toBe(session.id)
    expect((await client.postMessage(session.id, 'hello')).message.content).toBe('hello')
    expect((await client.listMessages(session.id)).messages).toHaveLength(1)
    expect((await client.closeSession(session.id)).state).toBe('closed')
    expect((await client.restoreSession(session.id)).state).toBe('initializing')
    expect((await client.interruptSession(session.id)).id).toBe(session.id)
    expect((await client.deleteSession(session.id)).closed).toBe(true)
    expect((await client.getSession(session.id, { deleted: true })).state).toBe('deleted')
    const types = (await collect(client.allEvents(session.id, { deleted: true }))).map((event) => event.type)
    expect(types).toEqual(['session.created', 'session.state_changed', 'session.state_changed', 'session.deleted'])
    expect(await client.verifyEvents(session.id, { deleted: true })).toEqual({ valid: true, events: 4 })
  })

  test('tools, invocations, artifacts', async () => {
    const { session } = await client.createSession({})
    expect((await client.listTools(session.id)).tools[0]?.constraints.timeout_seconds).toBe(5)
    expect((await client.listTools(session.id, { detail: 'compact' })).tools[0]).not.toHaveProperty('constraints')
    const invocation = await client.invokeTool(session.id, 'test.echo', { args: { a: 1 } })
    expect([invocation.status, invocation.output]).toEqual(['succeeded', { echoed: { a: 1 } }])
    expect(await client.getInvocation(invocation.id)).toEqual(invocation)
    expect((await client.listInvocations(session.id, { tool: 'test.echo' })).invocations).toEqual([invocation])
    expect((await client.invocationLogs(invocation.id)).logs[0]?.message).toBe('hello')
    const [artifact] = (await client.invocationArtifacts(invocation.id)).artifacts
    const bytes = await buffer(await client.downloadArtifact(invocation.id, artifact?.id ?? ''))
    expect(bytes.length).toBe(artifact?.size_bytes)
  })

  test('files go both ways as they are, streamed, empty ones too', async () => {
    const { session } = await client.createSession({})
    const content = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => i % 256))
    async function* pieces() {
      for (let at = 0; at < content.length; at += 100_000) yield content.subarray(at, at + 100_000)
    }
    const written = await client.uploadFile(session.id, 'dir/a ?&=#ü.bin', pieces(), { approved: true })
    expect(written.bytes_written).toBe(content.length)
    expect(sample.services.asked.uploaded.at(-1)).toMatchObject({ path: 'dir/a ?&=#ü.bin', approved: true })
    expect((await buffer(await client.downloadFile(session.id, 'dir/a ?&=#ü.bin'))).equals(content)).toBe(true)
    expect((await client.uploadFile(session.id, 'empty', new Uint8Array())).bytes_written).toBe(0)
    expect(sample.services.asked.uploaded.at(-1)?.approved).toBe(false)
  })

  test('an upload beyond 64 MiB is refused, whether it says its length or not', async () => {
    const { session } = await client.createSession({})
    const before = sample.services.asked.uploaded.length
    const piece = new Uint8Array(1024 * 1024)
    async function* endless() {
      for (let i = 0; i < 66; i++) yield piece
    }
    await expect(client.uploadFile(session.id, 'big', endless())).rejects.toMatchObject({
      code: 'payload_too_large',
      status: 413,
    })
    await expect(client.uploadFile(session.id, 'big', new Uint8Array(64 * 1024 * 1024 + 1))).rejects.toSatisfy(
      // The server answers before it has read it all and hangs up: which of the two the client sees first is a race.
      (error) => error instanceof ConnectionError || (error as ApiError).code === 'payload_too_large',
    )
    expect(sample.services.asked.uploaded.length).toBe(before)
  })

  test('users, tokens, role bindings', async () => {
    const { token } = await client.login('admin', PASSWORD)
    const admin = new CloisterClient({ url, token })
    expect(await admin.createUser({ name: 'carol', password: PASSWORD })).toMatchObject({ name: 'carol', active: true })
    await admin.createRoleBinding('default/carol', 'admin')
    expect((await admin.listRoleBindings()).role_bindings.some((each) => each.principal === 'default/carol')).toBe(true)
    await admin.deleteRoleBinding('default/carol', 'admin')
    expect((await admin.updateUser('carol', { active: false })).active).toBe(false)
    await admin.deleteUser('carol')
    await expect(admin.getUser('carol')).rejects.toMatchObject({ code: 'not_found' })
    const { token: record, value } = await client.createToken({ name: 'ci' })
    expect((await new CloisterClient({ url, token: value }).me()).actor_id).toBe('alice')
    expect((await client.listTokens()).tokens.map((each) => each.id)).toContain(record.id)
    await client.revokeToken(record.id)
    await expect(new CloisterClient({ url, token: value }).me()).rejects.toMatchObject({ code: 'unauthorized' })
  })

  test('ids are no paths', async () => {
    for (const id of ['../../healthz', 'a/b', '?x=1', '%2e%2e'])
      await expect(client.getSession(id), id).rejects.toMatchObject({ code: 'not_found', status: 404 })
  })
})

describe('errors', () => {
  test('carry what the server said', async () => {
    const { session } = await client.createSession({})
    const error = await client.invokeTool(session.id, 'test.guarded', { args: { a: 1 } }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({
      code: 'approval_required',
      status: 428,
      requestId: expect.stringMatching(/^req_/),
      invocation: { status: 'denied' },
    })
    await expect(client.createSession({ name: '' })).rejects.toMatchObject({
      code: 'invalid_argument',
      issues: [{ path: 'name' }],
    })
    await expect(client.invokeTool(session.id, 'test.limited', { args: {} })).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfter: 2,
    })
  })

  test('a server that is not there', async () => {
    const nobody = wire()
    const address = await nobody.open()
    nobody.close()
    await expect(new CloisterClient({ url: address }).version()).rejects.toMatchObject({ name: 'ConnectionError', sent: false })
  })

  test('something else on that port', async () => {
    const other = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\n<html'))
    })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    await expect(new CloisterClient({ url: address }).version()).rejects.toMatchObject({
      code: 'unexpected_response',
      status: 502,
    })
    other.close()
  })

  test('a token is not carried to another host by a redirect', async () => {
    let redirected = 0
    const target = createServer((socket) => {
      redirected++
      socket.destroy()
    })
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
    const location = `http://127.0.0.1:${(target.address() as AddressInfo).port}/`
    const other = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () =>
        socket.end(`HTTP/1.1 307 Temporary Redirect\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`),
      )
    })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    await expect(new CloisterClient({ url: address, token: 'clst_x' }).me()).rejects.toThrow(ConnectionError)
    expect(redirected).toBe(0)
    other.close()
    target.close()
  })
})

test('a call whose connection is cut is asked for again under its correlation id', async () => {
  const { session } = await client.createSession({})
  const cable = wire()
  const through = new CloisterClient({ url: await cable.open(), token: tokenOf() })
  const before = sample.services.asked.invoked.length
  const call = through.invokeTool(session.id, 'test.stuck', { args: { n: 1 } })
  await expect.poll(() => sample.services.asked.invoked.length).toBe(before + 1)
  cable.cut()
  expect((await call).status).toBe('succeeded')
  const [first, second] = sample.services.asked.invoked.slice(before).map((each) => each.request.correlation_id)
  expect(first).toMatch(/^client-/)
  expect(second).toBe(first)
  cable.close()
})

describe('following events', () => {
  const seqs = (entries: (Event | Delta)[]) => entries.filter((entry) => 'seq' in entry)

  test('a client that is cut off at random has the same events as one that stayed', async () => {
    const { session } = await client.createSession({})
    const cable = wire()
    const through = new CloisterClient({ url: await cable.open(), token: tokenOf() })
    const retry = { attempts: 50, delay_ms: 5 }
    const stayed = collect(client.streamEvents(session.id))
    const cutOff = collect(through.streamEvents(session.id, { retry }))
    for (let n = 0; n < 200; n++) {
      await sample.eventLog.append(session.id, 'turn.step', SYSTEM, { n, text: 'ü'.repeat(n * 7) })
      if (n % 3 === 0) sample.eventLog.delta(session.id, 'message.delta', { text: 'x' })
      if (Math.random() < 0.15) cable.cut()
      if (Math.random() < 0.2) await sleep(Math.random() * 15)
    }
    await client.deleteSession(session.id)
    const [whole, pieced] = await Promise.all([stayed, cutOff])
    expect(seqs(whole)).toHaveLength(202)
    expect(seqs(pieced)).toEqual(seqs(whole))
    expect(cable.connections).toBeGreaterThan(2)
    cable.close()
  })

  test('an event that is sent again is not given again', async () => {
    const line = (seq: number, type: string) => `id: ${seq}\ndata: ${JSON.stringify({ seq, type })}\n\n`
    const sent = [line(1, 'a'), line(1, 'a'), line(2, 'b'), line(1, 'a'), line(3, 'session.deleted')].join('')
    const repeating = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () =>
        socket.end(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n${sent}`),
      )
    })
    await new Promise<void>((resolve) => repeating.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(repeating.address() as AddressInfo).port}`
    const entries = await collect(new CloisterClient({ url: address }).streamEvents('ses_x'))
    expect(entries.map((entry) => entry.type)).toEqual(['a', 'b', 'session.deleted'])
    repeating.close()
  })

  test('deleted while it was away: the last events still come', async () => {
    const { session } = await client.createSession({})
    const cable = wire()
    const through = new CloisterClient({ url: await cable.open(), token: tokenOf() })
    const stream = through.streamEvents(session.id, { retry: { attempts: 5, delay_ms: 100 } })
    expect((await stream.next()).value).toMatchObject({ seq: 1 })
    cable.cut()
    await client.deleteSession(session.id)
    expect((await collect(stream)).map((entry) => entry.type)).toEqual(['session.deleted'])
    cable.close()
  })

  test('ends quietly by its signal, and fails for what will not get better', async () => {
    const { session } = await client.createSession({})
    const controller = new AbortController()
    const entries: (Event | Delta)[] = []
    for await (const entry of client.streamEvents(session.id, { signal: controller.signal })) {
      entries.push(entry)
      controller.abort()
    }
    expect(entries).toHaveLength(1)
    const stranger = new CloisterClient({ url })
    await expect(stranger.streamEvents(session.id).next()).rejects.toMatchObject({ code: 'unauthorized' })
    await expect(client.streamEvents('ses_none').next()).rejects.toMatchObject({ code: 'not_found' })
  })

  test('gives up on a server that is gone for good', async () => {
    const cable = wire()
    const through = new CloisterClient({ url: await cable.open(), token: tokenOf() })
    cable.close()
    const stream = through.streamEvents('ses_x', { retry: { attempts: 2, delay_ms: 1 } })
    await expect(stream.next()).rejects.toThrow(ConnectionError)
  })
})

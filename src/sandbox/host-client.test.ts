import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, createServer as createNetServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ExecRequest } from '../host/wire.ts'
import { HostClient } from './host-client.ts'
import { HostError, SandboxLost } from './sandbox-errors.ts'

const REQUEST: ExecRequest = { id: 'op', invocation_id: 'inv', argv: ['true'], timeout_ms: 5000, max_output_bytes: 1000 }
const OUTCOME = {
  exit_code: 0,
  signal: null,
  timed_out: false,
  cancelled: false,
  output_limited: false,
  spawn_error: null,
  duration_ms: 1,
  output_bytes: 3,
  replayed: false,
}
const frame = (value: unknown): string => `${JSON.stringify(value)}\n`
const out = (text: string): string => frame({ t: 'out', c: 1, d: Buffer.from(text).toString('base64') })
const exit = frame({ t: 'exit', outcome: OUTCOME })

describe('HostClient', () => {
  let directory: string
  let socketPath: string
  let servers: { close(): unknown }[]
  let client: HostClient

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'cl-'))
    socketPath = join(directory, 's')
    servers = []
    client = new HostClient({ socketPath, token: 'token', epoch: 3 })
  })

  afterEach(() => {
    client.disconnect()
    for (const server of servers) server.close()
    rmSync(directory, { recursive: true })
  })

  async function host(answer: (request: IncomingMessage, response: ServerResponse, body: string) => void): Promise<Server> {
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      answer(request, response, body)
    })
    servers.push({
      close: () => {
        server.closeAllConnections()
        server.close()
      },
    })
    await new Promise<void>((resolve) => server.listen(socketPath, resolve))
    return server
  }

  it('shows its token and epoch with every request', async () => {
    await host((request, response) => {
      const { authorization, 'x-cloister-epoch': epoch } = request.headers
      response.end(
        JSON.stringify({ session_id: `${authorization} ${epoch}`, generation: 1, epoch: 3, uptime_ms: 1, open_operations: 0 }),
      )
    })
    expect((await client.health()).session_id).toBe('Bearer token 3')
  })

  it('turns a refusal into its code', async () => {
    await host((_request, response) => {
      response.writeHead(403).end(JSON.stringify({ error: { code: 'path_denied', message: 'no' } }))
    })
    await expect(client.stat({ path: '/session/code', roots: [] })).rejects.toMatchObject({
      name: 'HostError',
      code: 'path_denied',
    })
  })

  describe('loses a host that', () => {
    it.each<[string, (response: ServerResponse) => void]>([
      ['answers something else than JSON', (response) => response.end('hello')],
      ['answers other fields', (response) => response.end('{"entry": {"path": 1}}')],
      ['answers a size below zero', (response) => response.end(entry({ size_bytes: -1 }))],
      ['answers a mode that is none', (response) => response.end(entry({ mode: '<script>' }))],
      ['refuses without a reason', (response) => response.writeHead(500).end('oops')],
      ['refuses with a code of its own', (response) => response.writeHead(500).end('{"error":{"code":"mine","message":""}}')],
      ['redirects', (response) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end()],
      ['cuts its answer', (response) => response.writeHead(200, { 'content-length': 100 }).write('{"', () => response.destroy())],
      ['answers without end', (response) => endless(response, Buffer.alloc(1024 * 1024, 32))],
    ])('%s', async (_title, answer) => {
      await host((_request, response) => answer(response))
      await expect(client.stat({ path: '/session/code', roots: [] })).rejects.toBeInstanceOf(SandboxLost)
    })

    it('is not there', async () => {
      await expect(client.health()).rejects.toBeInstanceOf(SandboxLost)
      await expect(client.exec(REQUEST)).rejects.toBeInstanceOf(SandboxLost)
    })

    it('never answers', async () => {
      await host(() => undefined)
      await expect(client.health(100)).rejects.toThrow(/did not answer/)
    })

    it.each<[string, string | ((response: ServerResponse) => void)]>([
      ['sends more output than was asked for', out('x'.repeat(1001)) + exit],
      ['sends frames that are not JSON', 'nonsense\n'],
      ['sends frames of its own', frame({ t: 'run', argv: ['rm'] })],
      ['sends output on another channel', frame({ t: 'out', c: 3, d: '' })],
      ['sends output that is not base64', frame({ t: 'out', c: 1, d: '***' })],
      ['sends an outcome with other types', frame({ t: 'exit', outcome: { ...OUTCOME, exit_code: '0' } })],
      ['sends a frame without an end', (response) => endless(response, Buffer.alloc(64 * 1024, 120))],
    ])('%s', async (_title, answer) => {
      await host((_request, response) => {
        if (typeof answer === 'string') response.end(answer)
        else answer(response)
      })
      await expect(client.exec(REQUEST)).rejects.toBeInstanceOf(SandboxLost)
    })

    it('lies about the size of a download', async () => {
      await host((_request, response) => response.writeHead(200, { 'x-cloister-size': '-5' }).end('abc'))
      await expect(client.download({ path: '/session/code/f', roots: [] })).rejects.toBeInstanceOf(SandboxLost)
    })
  })

  it('attaches again when its connection is cut, and takes no byte twice', async () => {
    const bodies: ExecRequest[] = []
    await host((_request, response, body) => {
      bodies.push(JSON.parse(body))
      if (bodies.length === 1) response.write(out('ab'), () => response.destroy())
      else if (bodies.length === 2)
        response.write(out('a') + out('bc') + frame({ t: 'gap', dropped_bytes: 2 }), () => response.destroy())
      else response.end(frame({ t: 'gap', dropped_bytes: 4 }) + out('yz') + exit)
    })
    const chunks: string[] = []
    const result = await client.exec(REQUEST, { onOutput: (_channel, chunk) => chunks.push(chunk.toString()) })
    expect(chunks).toEqual(['ab', 'c', 'z'])
    expect(result).toMatchObject({ exit_code: 0, dropped_bytes: 2 })
    expect(result.stdout.toString()).toBe('abcz')
    expect(bodies).toMatchObject([{ id: 'op' }, { id: 'op', attach_only: true }, { id: 'op', attach_only: true }])
  })

  it('does not run a command again that host does not know any more', async () => {
    let calls = 0
    await host((_request, response) => {
      calls++
      if (calls === 1) response.write(out('ab'), () => response.destroy())
      else response.writeHead(404).end('{"error": {"code": "not_found", "message": ""}}')
    })
    await expect(client.exec(REQUEST)).rejects.toBeInstanceOf(SandboxLost)
    expect(calls).toBe(2)
  })

  it('gives up when every connection is cut', async () => {
    let calls = 0
    await host((_request, response) => {
      calls++
      response.write(out('a'), () => response.destroy())
    })
    await expect(client.exec(REQUEST)).rejects.toBeInstanceOf(SandboxLost)
    expect(calls).toBe(6)
  })

  it('waits no longer than the deadline and a margin for a command', async () => {
    await host((_request, response) => response.writeHead(200).flushHeaders())
    const impatient = new HostClient({ socketPath, token: 'token', epoch: 3 }, { execMarginMs: 50 })
    await expect(impatient.exec({ ...REQUEST, timeout_ms: 50 })).rejects.toThrow(/after its deadline/)
    impatient.disconnect()
  })

  it('sends a request again when a kept connection turns out to be closed', async () => {
    await host((_request, response) => response.end('{"killed": 1}'))
    // Between client and host, so that connections can be closed at will.
    const proxied: Socket[] = []
    const between = createNetServer((socket) => {
      proxied.push(socket)
      socket.on('error', () => undefined)
      const onward = connect(socketPath).on('error', () => undefined)
      socket.pipe(onward).pipe(socket)
    })
    servers.push(between)
    await new Promise<void>((resolve) => between.listen(join(directory, 'p'), resolve))
    const through = new HostClient({ socketPath: join(directory, 'p'), token: 'token', epoch: 3 })
    await through.cancel('inv')
    const again = through.cancel('inv')
    proxied[0]?.destroy()
    expect(await again).toEqual({ killed: 1 })
    through.disconnect()
  })

  it('lets a refusal of a command through as what it is', async () => {
    await host((_request, response) => response.writeHead(409).end('{"error": {"code": "stale_epoch", "message": "over"}}'))
    await expect(client.exec(REQUEST)).rejects.toEqual(new HostError('stale_epoch', 'over'))
  })
})

function entry(more: object): string {
  const whole = {
    path: '/session/code',
    type: 'dir',
    size_bytes: 1,
    mode: '0755',
    modified_at: new Date(0).toISOString(),
    ...more,
  }
  return JSON.stringify({ entry: whole })
}

function endless(response: ServerResponse, chunk: Buffer): void {
  response.writeHead(200)
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  }
  response.on('drain', more)
  more()
}

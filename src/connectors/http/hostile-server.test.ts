import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { McpHttpServer } from '../../../test/support/mcp-http-server.ts'
import type { Tool, ToolContext } from '../../catalog/define-tool.ts'
import type { Connector } from '../../domain/connector.ts'
import { CHANGING, HARMLESS, httpConnector, reviewedTools } from '../connector.sample.ts'
import { HttpConnectorClient } from './http-client.ts'

/** Remote servers that would use up this one, or tell callers what only they were told. */

const SECRET = 'Bearer remote-secret-4711'
let server: McpHttpServer
let client: HttpConnectorClient
let connector: Connector
beforeEach(async () => {
  server = await McpHttpServer.start()
  client = new HttpConnectorClient(() => SECRET)
  const tools = { act: { ...CHANGING, timeout_seconds: 30 }, look: { ...HARMLESS, timeout_seconds: 3 } }
  connector = httpConnector('remote', server.url, tools, { headers: { authorization: 'REMOTE' } })
})
afterEach(async () => {
  await client.close()
  await server.close()
})

const reviewed = async () => reviewedTools(connector, await client.list(connector, 5000), { client })

async function call(tool: Tool, log: string[] = []): Promise<unknown> {
  const context = {
    session: { id: 'ses_1' },
    signal: new AbortController().signal,
    log: (line: string) => void log.push(line),
    actsOutside: async () => undefined,
  }
  return ((await tool.handler({}, context as unknown as ToolContext)) as { output: Record<string, unknown> }).output['text']
}
const failure = (calling: Promise<unknown>) =>
  calling.then(
    () => expect.unreachable(),
    (error: Error) => error,
  )

const stream = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' })
const event = (message: object) => `data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`
const done = (id: unknown) => event({ id, result: { content: [{ type: 'text', text: 'done' }] } })

describe('a server that asks', () => {
  it('is not answered, whatever it asks and how often', async () => {
    const tool = (await reviewed())('remote.look')
    await call(tool)
    const before = server.requests
    server.onCall = (response, { id }) => {
      const asked = ['ping', 'sampling/createMessage', 'roots/list', 'no/such/method'].flatMap((method) =>
        Array.from({ length: 1000 }, (_, n) => event({ id: `${method}-${n}`, method })),
      )
      stream(response).end(asked.join('') + done(id))
    }
    expect(await call(tool)).toBe('done')
    await delay(300)
    expect(server.requests).toBe(before + 1)
  })

  it('is cut off when it does not stop talking, and may have acted', async () => {
    const tool = await reviewed()
    const talk = event({ method: 'notifications/message', params: { level: 'info', data: 'x' } }).repeat(1000)
    let closed = 0
    server.onCall = (response) => {
      response.once('close', () => closed++)
      stream(response)
      for (let n = 0; n < 15; n++) response.write(talk)
    }
    expect(await failure(call(tool('remote.act')))).toMatchObject({ code: 'unknown_outcome' })
    await expect.poll(() => closed).toBe(1)
    server.onCall = null
    expect(await call(tool('remote.act'))).toContain('done')
  })
})

describe('a server that would be asked again and again', () => {
  it('has no stream to be opened anew', async () => {
    server.onGet = (response) => void stream(response).end('retry: 0\n\n')
    const tool = (await reviewed())('remote.look')
    await call(tool)
    server.onCall = (response) => void stream(response).end('id: 1\nretry: 0\ndata:\n\n')
    expect(await failure(call(tool))).toMatchObject({ code: 'timeout' })
    expect(server.gets).toBe(0)
  })

  it('is left when nobody uses it, with the streams that it left open', async () => {
    client = new HttpConnectorClient(() => SECRET, 200)
    const tool = (await reviewed())('remote.look')
    let closed = 0
    server.onCall = (response, { id }) => {
      response.once('close', () => closed++)
      stream(response).write(done(id))
    }
    expect(await call(tool)).toBe('done')
    expect(await call(tool)).toBe('done')
    expect(closed).toBe(0)
    await expect.poll(() => closed, { timeout: 2000 }).toBe(2)
  })
})

describe('a server that says what it was told in confidence', () => {
  /** Every place near where what it says is cut. */
  const PADS = [...Array.from({ length: 12 }, (_, n) => n * 40), ...Array.from({ length: 60 }, (_, n) => 450 + n)]
  const told = (text: string) => /Bearer|remote-s|secret-4|4711/.exec(text)?.[0] ?? null

  it('in errors, wherever they are cut', async () => {
    const tool = (await reviewed())('remote.look')
    for (const pad of PADS) {
      const text = `${'x'.repeat(pad)} ${SECRET} ${'y'.repeat(40)}`
      server.onCall = (response, { id }) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32000, message: text } }))
      }
      const error = await failure(call(tool))
      expect([pad, error.message.includes('answered with an error'), told(error.message)]).toEqual([pad, true, null])
      server.onCall = (response) => void response.writeHead(500).end(text)
      expect([pad, told((await failure(call(tool))).message)]).toEqual([pad, null])
    }
  })

  it('in what it tells of its progress', async () => {
    const tool = (await reviewed())('remote.look')
    const log: string[] = []
    server.onCall = (response, { id, params }) => {
      const { progressToken } = params['_meta'] as { progressToken: number }
      const progress = PADS.map((pad) =>
        event({ method: 'notifications/progress', params: { progressToken, progress: pad, message: 'x'.repeat(pad) + SECRET } }),
      )
      stream(response).end(progress.join('') + done(id))
    }
    await call(tool, log)
    expect([log.length, told(log.join('\n'))]).toEqual([PADS.length, null])
  })

  it('in its list, which is compared without it', async () => {
    server.tools = [{ name: 'look', description: `Looks as ${SECRET}.` }]
    expect((await client.list(connector, 5000))[0]?.description).toBe('Looks as [secret:REMOTE].')
    expect(await call((await reviewed())('remote.look'))).toContain('done')
    for (let pad = 70; pad <= 100; pad++) {
      const name = `${'x'.repeat(pad)}${SECRET}`
      server.tools = [{ name }, { name }]
      const { message } = await failure(client.list(connector, 5000))
      expect([message.includes('twice'), told(message)]).toEqual([true, null])
    }
  })

  it('in what is no answer', async () => {
    const tool = (await reviewed())('remote.look')
    await call(tool)
    for (const text of [SECRET, `{"a": ${SECRET}}`, `{"a": "b" remote-secret-4711}`]) {
      const garbled = (response: ServerResponse) => void response.writeHead(200, { 'content-type': 'application/json' }).end(text)
      server.onCall = garbled
      expect((await failure(call(tool))).message).toContain('does not answer in JSON')
      server.onRequest = garbled
      expect((await failure(client.list(connector, 5000))).message).toContain('does not answer in JSON')
      server.onRequest = null
    }
  })
})

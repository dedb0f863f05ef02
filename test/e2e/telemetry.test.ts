import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startCollector } from '../support/otlp-collector.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { ServerProcess } from '../support/server-process.ts'

/** The whole server with what it can be connected to: a Redis server for its records, a collector for its spans. */

const PASSWORD = 'the-store-has-one'
const CALLER = { trace: '4bf92f3577b34da6a3ce929d0e0e4736', span: '00f067aa0ba902b7' }
const SAID = 'text-that-is-in-no-span'

let redis: RedisServer
let collector: Awaited<ReturnType<typeof startCollector>>
let server: ServerProcess
beforeAll(async () => {
  redis = await startRedisServer(['--requirepass', PASSWORD], PASSWORD)
  collector = await startCollector()
  server = await ServerProcess.start({
    env: {
      CLOISTER_SANDBOX: 'process',
      INVOCATION_STORE_BACKEND: 'valkey',
      VALKEY_ADDR: `127.0.0.1:${redis.port}`,
      VALKEY_PASSWORD: PASSWORD,
      VALKEY_DB: '2',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    },
  })
})
afterAll(async () => {
  await server?.destroy()
  await collector?.close()
  await redis?.stop()
})

const traceparent = `00-${CALLER.trace}-${CALLER.span}-01`
const linesOf = (trace: string) => server.output.split('\n').filter((line) => line.includes(trace))

describe('a server with a store of its records elsewhere, and a collector', () => {
  it('keeps finished records there, under the keys and in the database that were set', async () => {
    const { id } = await server.session()
    const { body } = await server.invoke(id, 'fs.list', { path: '.' })
    await redis.client.select(2)
    expect(JSON.parse((await redis.client.get(`workspace:invocation:record:${body.invocation.id}`)) ?? '')).toMatchObject({
      id: body.invocation.id,
      status: 'succeeded',
    })
    const listed = await server.request('GET', `/v1/sessions/${id}/invocations`)
    expect(listed.body.invocations.map((each: { id: string }) => each.id)).toEqual([body.invocation.id])
  })

  it("sends a request and its call as spans of the caller's trace, which is on the record and on the log", async () => {
    const { id } = await server.session()
    const answer = await server.request('POST', `/v1/sessions/${id}/tools/fs.write/invoke`, {
      headers: { traceparent },
      body: { approved: true, args: { path: 'a.txt', content: SAID } },
    })
    expect(answer.body.invocation.trace_id).toBe(CALLER.trace)
    const [request, call] = await vi.waitFor(() => {
      const found = collector.spans.filter(({ trace_id }) => trace_id === CALLER.trace)
      expect(found).toHaveLength(2)
      return [found.find(({ kind }) => kind === 2), found.find(({ name }) => name === 'fs.write')]
    }, 20_000)
    expect(request).toMatchObject({
      name: 'POST /v1/sessions/:session_id/tools/:tool_name/invoke',
      parent_span_id: CALLER.span,
      service: 'cloister',
      attributes: { 'http.response.status_code': 200, 'cloister.request_id': answer.headers.get('x-request-id') },
    })
    expect(call).toMatchObject({
      parent_span_id: request?.span_id,
      tracer: 'workspace.tools',
      attributes: {
        'cloister.invocation_id': answer.body.invocation.id,
        'cloister.session_id': id,
        'cloister.status': 'succeeded',
      },
    })
    expect(linesOf(CALLER.trace).length).toBeGreaterThan(0)
  })

  it('a turn is a trace of its own: its model calls, and its invocations', async () => {
    const { id } = await server.session({ message: 'list the files' })
    await server.waitForState(id, (state) => state === 'idle')
    const turn = await vi.waitFor(() => {
      const found = collector.spans.find((each) => each.name === 'turn' && each.attributes['cloister.session_id'] === id)
      expect(found).toBeDefined()
      return found
    }, 20_000)
    const spans = collector.spans.filter(({ trace_id }) => trace_id === turn?.trace_id)
    expect(turn).toMatchObject({ parent_span_id: null, attributes: { 'cloister.status': 'completed' } })
    expect(spans.map(({ name }) => name).sort()).toEqual(['chat scripted/default', 'chat scripted/default', 'fs.list', 'turn'])
    for (const span of spans) if (span !== turn) expect(span.parent_span_id).toBe(turn?.span_id)
    const [invocation] = (await server.request('GET', `/v1/sessions/${id}/invocations`)).body.invocations
    expect(invocation.trace_id).toBe(turn?.trace_id)
  })

  it('counts what happened', async () => {
    const page = (await server.request('GET', '/metrics', { token: null })).text
    expect(page).toMatch(/cloister_invocation_duration_seconds_count\{tool="fs.write"\} 1/)
    expect(page).toMatch(/cloister_sandbox_start_duration_seconds_count\{kind="process",purpose="session"\} [1-9]/)
    expect(page).toMatch(/cloister_model_calls_total\{model="scripted\/default",outcome="ok"\} 2/)
    expect(page).toMatch(/cloister_turns_total\{outcome="completed"\} 1/)
  })

  it('is not ready and refuses calls while the store is away, and is itself again when it is back', async () => {
    const { id } = await server.session()
    await redis.kill()
    const ready = await vi.waitFor(async () => {
      const answer = await server.request('GET', '/readyz', { token: null })
      expect(answer.status).toBe(503)
      return answer
    }, 20_000)
    expect(ready.body).toMatchObject({ checks: { store: 'ok', invocation_store: 'failed', sandbox: 'ok' } })
    const refused = await server.invoke(id, 'fs.list', { path: '.' })
    expect([refused.status, refused.body.error.code]).toEqual([503, 'store_unavailable'])
    expect(refused.text).not.toContain(String(redis.port))
    await redis.restart()
    await vi.waitFor(async () => expect((await server.request('GET', '/readyz', { token: null })).status).toBe(200), 20_000)
    expect((await server.invoke(id, 'fs.list', { path: '.' })).status).toBe(200)
  })

  it('says nothing that it should not: no argument in a span, no password in the log', async () => {
    expect(JSON.stringify(collector.requests)).not.toContain(SAID)
    expect(server.output).not.toContain(PASSWORD)
  })

  it('does not start on a store that refuses it, and says why in one line', async () => {
    const env = {
      CLOISTER_SANDBOX: 'process',
      INVOCATION_STORE_BACKEND: 'valkey',
      VALKEY_PORT: String(redis.port),
      VALKEY_PASSWORD: 'wrong',
    }
    await expect(ServerProcess.start({ env })).rejects.toThrow(/ended with 7:\s+(?:.*\n)?.*cannot be used: .*WRONGPASS/)
  })
})

import { Server } from '@modelcontextprotocol/server'
import { afterEach, expect, test } from 'vitest'
import { McpSessions } from './mcp-sessions.ts'

/** Real sessions of the official transport; only the clock is ours. */

let now = 0
let sessions: McpSessions
const begin = () => {
  now = 1_000_000
  sessions = new McpSessions({ keepAliveMs: 60_000, now: () => now })
}
afterEach(() => sessions.endAll())

const ownerOf = (tenant_id: string, actor: string, session: string) => {
  const principal = `${tenant_id}/${actor}`
  return { owner: `${session} mcp ${principal}`, principal, tenant_id }
}

type Owner = ReturnType<typeof ownerOf>

function send(owner: Owner, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const request = new Request('http://localhost/mcp', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify(body),
  })
  const makeServer = () => new Server({ name: 'test', version: '1' }, { capabilities: { tools: {} } })
  return sessions.handle(request, { owner, body, makeServer })
}

async function initialize(owner: Owner): Promise<{ status: number; id: string; message: string }> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } }
  const response = await send(owner, { jsonrpc: '2.0', id: 1, method: 'initialize', params })
  const message = response.status === 200 ? '' : ((await response.json()) as { error: { message: string } }).error.message
  return { status: response.status, id: response.headers.get('mcp-session-id') ?? '', message }
}

async function lives(owner: Owner, id: string): Promise<boolean> {
  const ping = { jsonrpc: '2.0', id: 2, method: 'ping' }
  const response = await send(owner, ping, { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' })
  await response.body?.cancel()
  return response.status === 200
}

test('an owner has 32, a principal 64 over all of its sessions, also when all come at once', async () => {
  begin()
  const all = await Promise.all(
    ['ses_1', 'ses_2', 'ses_3'].flatMap((session) =>
      Array.from({ length: 40 }, () => initialize(ownerOf('default', 'alice', session))),
    ),
  )
  const begun = all.filter(({ status }) => status === 200)
  expect(begun).toHaveLength(64)
  expect(all.slice(0, 40).filter(({ status }) => status === 200)).toHaveLength(32)
  expect(all[39]).toMatchObject({
    status: 429,
    message: expect.stringContaining('32 MCP sessions of yours are open in this session'),
  })
  expect(all[119]).toMatchObject({ status: 429, message: expect.stringContaining('64 MCP sessions of yours are open in all') })
  expect((await initialize(ownerOf('default', 'bob', 'ses_1'))).status).toBe(200)
})

test('a request that begins nothing takes no place', async () => {
  begin()
  const owner = ownerOf('default', 'alice', 'ses_1')
  for (let n = 0; n < 100; n++) expect((await send(owner, { jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(400)
  expect(sessions.size).toBe(0)
  expect((await initialize(owner)).status).toBe(200)
})

test("a tenant that fills everything keeps nobody out: the longest idle of whoever has most is ended, and nobody else's", async () => {
  begin()
  const bob = ownerOf('other', 'bob', 'ses_b')
  const early = await initialize(bob)
  const crowd: { owner: Owner; id: string }[] = []
  // Twenty principals: the first nineteen have fifty each, the last has one less.
  for (let n = 0; crowd.length < 999; n++) {
    now++
    const owner = ownerOf('greedy', `u${n % 20}`, `ses_${n % 40}`)
    crowd.push({ owner, id: (await initialize(owner)).id })
  }
  expect(sessions.size).toBe(1000)
  now++
  const [first, second] = crowd as [(typeof crowd)[number], (typeof crowd)[number]]
  // Used meanwhile: it is not the longest idle one of its owner any more.
  expect(await lives(first.owner, first.id)).toBe(true)
  now++
  const carol = ownerOf('third', 'carol', 'ses_c')
  const late = await initialize(carol)
  expect(late.status).toBe(200)
  expect(sessions.size).toBe(1000)
  expect(await lives(carol, late.id)).toBe(true)
  expect(await lives(bob, early.id)).toBe(true)
  const ended: number[] = []
  for (const [n, each] of crowd.entries()) if (!(await lives(each.owner, each.id))) ended.push(n)
  // u0 has as many as any, and began first: of its sessions the one begun second is now the longest idle.
  expect(ended).toEqual([20])
  expect(await lives(second.owner, second.id)).toBe(true)
})

test('what nobody uses ends by itself', async () => {
  begin()
  const owner = ownerOf('default', 'alice', 'ses_1')
  const { id } = await initialize(owner)
  now += 29 * 60_000
  expect(await lives(owner, id)).toBe(true)
  now += 30 * 60_000
  expect(await lives(owner, id)).toBe(false)
  expect(sessions.size).toBe(0)
})

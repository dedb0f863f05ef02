import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Answer, ServerProcess } from '../support/server-process.ts'

/** Who may do what: every cell of the table is one request. */

const WHO = ['admin', 'owner', 'other user', 'agent credential', 'nobody'] as const
type Who = (typeof WHO)[number]

let server: ServerProcess
const tokens = {} as Record<Exclude<Who, 'agent credential'>, string | null>
beforeAll(async () => {
  server = await ServerProcess.start()
  tokens.admin = await server.adminToken()
  tokens.owner = await server.user('olivia')
  tokens['other user'] = await server.user('otto')
  tokens.nobody = null
})
afterAll(() => server.destroy())

/** A new session of the owner, as the row needs it, and the agent credential of just that session. */
interface Scene {
  id: string
  agent: string
  approval: string
  invocation: string
}

async function scene(prepare: Row['prepare']): Promise<Scene> {
  const token = tokens.owner as string
  const { id } = await server.session({}, token)
  const agent = (await server.request('POST', `/v1/sessions/${id}/tokens`, { token, body: {} })).body.token
  const scene: Scene = { id, agent, approval: '', invocation: '' }
  if (prepare === 'closed') await server.request('POST', `/v1/sessions/${id}/close`, { token })
  if (prepare === 'approval') {
    const pending = await server.invoke(id, 'fs.write', { path: 'a', content: 'b' }, { request_approval: true }, token)
    scene.invocation = pending.body.invocation.id
    scene.approval = (await server.request('GET', `/v1/approvals?session=${id}`, { token })).body.approvals[0].id
  }
  if (prepare === 'invocation') scene.invocation = (await server.invoke(id, 'fs.list', {}, {}, token)).body.invocation.id
  return scene
}

interface Row {
  name: string
  prepare?: 'closed' | 'approval' | 'invocation'
  method: string
  path: (scene: Scene) => string
  body?: unknown | ((scene: Scene) => unknown)
  accept?: string
  /** admin, owner, other user, agent credential, nobody */
  expected: [number, number, number, number, number]
}

const READ: Row['expected'] = [200, 200, 404, 403, 401]
const session =
  (suffix = '') =>
  (scene: Scene) =>
    `/v1/sessions/${scene.id}${suffix}`

const ROWS: Row[] = [
  { name: 'session:create', method: 'POST', path: () => '/v1/sessions', body: {}, expected: [201, 201, 201, 403, 401] },
  { name: 'session:list', method: 'GET', path: () => '/v1/sessions', expected: [200, 200, 200, 403, 401] },
  { name: 'session:get', method: 'GET', path: session(), expected: READ },
  { name: 'session:get messages', method: 'GET', path: session('/messages'), expected: READ },
  { name: 'session:get events', method: 'GET', path: session('/events'), expected: READ },
  { name: 'session:get verify', method: 'GET', path: session('/events/verify'), expected: READ },
  { name: 'session:get tools', method: 'GET', path: session('/tools'), expected: [200, 200, 404, 200, 401] },
  { name: 'session:get invocations', method: 'GET', path: session('/invocations'), expected: READ },
  {
    name: 'session:get invocation',
    prepare: 'invocation',
    method: 'GET',
    path: (s) => `/v1/invocations/${s.invocation}`,
    expected: READ,
  },
  {
    name: 'session:get logs',
    prepare: 'invocation',
    method: 'GET',
    path: (s) => `/v1/invocations/${s.invocation}/logs`,
    expected: READ,
  },
  {
    name: 'session:get artifacts',
    prepare: 'invocation',
    method: 'GET',
    path: (s) => `/v1/invocations/${s.invocation}/artifacts`,
    expected: READ,
  },
  {
    name: 'session:get approval',
    prepare: 'approval',
    method: 'GET',
    path: (s) => `/v1/approvals/${s.approval}`,
    expected: READ,
  },
  { name: 'session:update', method: 'PATCH', path: session(), body: { name: 'renamed' }, expected: READ },
  {
    name: 'session:message',
    method: 'POST',
    path: session('/messages'),
    body: { content: 'hi' },
    expected: [202, 202, 404, 403, 401],
  },
  { name: 'session:message interrupt', method: 'POST', path: session('/interrupt'), expected: [200, 200, 404, 403, 401] },
  {
    name: 'session:message mcp',
    accept: 'application/json, text/event-stream',
    method: 'POST',
    path: session('/mcp'),
    body: {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    },
    expected: [200, 200, 404, 200, 401],
  },
  { name: 'session:message token', method: 'POST', path: session('/tokens'), body: {}, expected: [201, 201, 404, 403, 401] },
  {
    name: 'session:message cancel',
    prepare: 'approval',
    method: 'POST',
    path: (s) => `/v1/invocations/${s.invocation}/cancel`,
    expected: [200, 200, 404, 403, 401],
  },
  {
    name: 'session:message invoke',
    method: 'POST',
    path: session('/tools/fs.list/invoke'),
    body: { args: {} },
    expected: [200, 200, 404, 200, 401],
  },
  {
    name: 'session:approve in the request',
    method: 'POST',
    path: session('/tools/fs.write/invoke'),
    body: { args: { path: 'a', content: 'b' }, approved: true },
    expected: [200, 200, 404, 428, 401],
  },
  {
    name: 'session:approve',
    prepare: 'approval',
    method: 'POST',
    path: (s) => `/v1/approvals/${s.approval}/approve`,
    body: {},
    expected: READ,
  },
  {
    name: 'session:approve deny',
    prepare: 'approval',
    method: 'POST',
    path: (s) => `/v1/approvals/${s.approval}/deny`,
    body: {},
    expected: READ,
  },
  {
    name: 'session:approve revoke',
    prepare: 'approval',
    method: 'POST',
    path: (s) => `/v1/approvals/${s.approval}/revoke`,
    body: {},
    expected: READ,
  },
  { name: 'session:close', method: 'POST', path: session('/close'), expected: READ },
  { name: 'session:restore', prepare: 'closed', method: 'POST', path: session('/restore'), expected: READ },
  { name: 'session:delete', method: 'DELETE', path: session(), expected: READ },
  { name: 'users', method: 'GET', path: () => '/v1/users', expected: [200, 403, 403, 403, 401] },
  {
    name: 'users create',
    method: 'POST',
    path: () => '/v1/users',
    body: (at: Scene) => ({ name: at.id, password: 'long enough' }),
    expected: [201, 403, 403, 403, 401],
  },
  { name: 'role bindings', method: 'GET', path: () => '/v1/role-bindings', expected: [200, 403, 403, 403, 401] },
  {
    name: 'role bindings create',
    method: 'POST',
    path: () => '/v1/role-bindings',
    body: { principal: 'default/olivia', role_name: 'user' },
    expected: [201, 403, 403, 403, 401],
  },
  { name: 'connectors', method: 'GET', path: () => '/v1/connectors', expected: [200, 403, 403, 403, 401] },
  { name: 'connectors get', method: 'GET', path: () => '/v1/connectors/unknown', expected: [404, 403, 403, 403, 401] },
  {
    name: 'connectors review',
    method: 'POST',
    path: () => '/v1/connectors/unknown/review',
    body: {},
    expected: [404, 403, 403, 403, 401],
  },
  { name: 'own tokens', method: 'GET', path: () => '/v1/auth/tokens', expected: [200, 200, 200, 403, 401] },
]

it('every cell of permission x caller answers as it must', async () => {
  const failures: string[] = []
  const lines = [`${'permission'.padEnd(32)}${WHO.map((who) => who.padEnd(18)).join('')}`]
  for (const row of ROWS) {
    const cells: string[] = []
    for (const [index, who] of WHO.entries()) {
      const at = await scene(row.prepare)
      const token = who === 'agent credential' ? at.agent : tokens[who]
      const body = typeof row.body === 'function' ? row.body(at) : row.body
      const answer: Answer = await server.request(row.method, row.path(at), {
        token,
        ...(row.accept && { headers: { accept: row.accept } }),
        ...(body === undefined ? {} : { body }),
      })
      if (answer.status !== row.expected[index])
        failures.push(`${row.name} as ${who}: ${answer.status}, not ${row.expected[index]}: ${answer.text}`)
      cells.push(String(answer.status).padEnd(18))
      if (answer.status >= 400)
        expect(answer.body.error).toMatchObject({
          code: expect.any(String),
          message: expect.any(String),
          request_id: expect.any(String),
        })
    }
    lines.push(`${row.name.padEnd(32)}${cells.join('')}`)
  }
  process.stdout.write(`\n${lines.join('\n')}\n\n`)
  expect(failures).toEqual([])
})

it('an agent credential of one session finds no other', async () => {
  const mine = await scene(undefined)
  const theirs = await scene('approval')
  for (const [method, path, body] of [
    ['POST', `/v1/sessions/${theirs.id}/tools/fs.list/invoke`, { args: {} }],
    ['GET', `/v1/sessions/${theirs.id}/tools`, undefined],
    ['POST', `/v1/approvals/${theirs.approval}/approve`, {}],
  ] as const) {
    const answer = await server.request(method, path, { token: mine.agent, ...(body === undefined ? {} : { body }) })
    expect([path, answer.status]).toEqual([
      path,
      path.includes('approvals') ? expect.toSatisfy((status) => status === 403 || status === 404) : 404,
    ])
  }
})

it('a list shows a user nothing of others', async () => {
  await server.session({ name: 'private-matter' }, tokens.owner as string)
  const listed = await server.request('GET', '/v1/sessions?limit=200&q=private-matter', { token: tokens['other user'] })
  expect(listed.body.sessions).toEqual([])
  const foreign = await server.request('GET', '/v1/sessions?owner=olivia', { token: tokens['other user'] })
  expect(foreign.body.sessions).toEqual([])
  expect((await server.request('GET', '/v1/sessions?owner=olivia&q=private-matter')).body.sessions).toHaveLength(1)
})

it('no route or table is named space, agent, build or secret', async () => {
  const document = (await server.request('GET', '/openapi.json', { token: null })).body
  const names = Object.keys(document.paths).flatMap((path) => path.split('/'))
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(`${server.home}/cloister.db`, { readOnly: true })
  names.push(
    ...database
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
      .all()
      .map((row) => String(row['name'])),
  )
  database.close()
  expect(names).toContain('sessions')
  for (const name of names) expect(name).not.toMatch(/^(spaces?|agents?|builds?|secrets?)$/)
})

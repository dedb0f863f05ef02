import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type SampleApp, sampleApp } from '../../../../test/http/sample-app.ts'

interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
  body: any
}

/** Over a socket, with full power over the headers: fetch would not let us lie about Host and Origin. */
function send(
  sample: SampleApp,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
): Promise<Answer> {
  const { port, address } = sample.app.server.address() as AddressInfo
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: address,
        port,
        method,
        path,
        headers: { host: `localhost:${port}`, ...(text ? { 'content-type': 'application/json' } : {}), ...headers },
      },
      (answer) => {
        let received = ''
        answer.on('data', (chunk) => {
          received += chunk
        })
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, body: received.startsWith('{') ? JSON.parse(received) : received }),
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(text)
  })
}

describe('payload mode', () => {
  let sample: SampleApp
  let port: number

  beforeAll(async () => {
    sample = await sampleApp({ config: { CLOISTER_AUTH: 'payload' } })
    await sample.app.listen({ port: 0, host: '127.0.0.1' })
    port = (sample.app.server.address() as AddressInfo).port
  })
  afterAll(() => sample.close())

  test('the server says at start what this mode is', () => {
    expect(sample.log.join()).toContain('there is no authentication')
  })

  test('the principal is who the body names, and the owner of the session from then on', async () => {
    const principal = { tenant_id: 'demo', actor_id: 'dora', roles: ['developer'] }
    const made = await send(sample, 'POST', '/v1/sessions', {}, { principal })
    expect([made.status, made.body.session.owner]).toEqual([201, { tenant_id: 'demo', actor_id: 'dora' }])
    const { caller } = sample.services.asked.created.at(-1) as { caller: unknown }
    expect(caller).toEqual({
      kind: 'user',
      tenant_id: 'demo',
      actor_id: 'dora',
      admin: false,
      tool_roles: ['developer', 'devops'],
    })
    const { id } = made.body.session
    const invoked = await send(sample, 'POST', `/v1/sessions/${id}/tools/test.echo/invoke`, {}, { args: {} })
    expect([invoked.status, invoked.body.invocation.actor.id]).toEqual([200, 'demo/dora'])
    expect((await send(sample, 'GET', `/v1/invocations/${invoked.body.invocation.id}`)).status).toBe(200)
    expect((await send(sample, 'GET', '/v1/sessions/ses_none')).status).toBe(404)
    expect((await send(sample, 'GET', '/v1/invocations/inv_none')).status).toBe(404)
    const listed = await send(sample, 'GET', '/v1/sessions')
    expect(listed.body.sessions.map((each: { id: string }) => each.id)).toContain(id)
  })

  test('nobody is an admin: users and roles are out of reach', async () => {
    for (const path of ['/v1/users', '/v1/role-bindings']) expect((await send(sample, 'GET', path)).status).toBe(403)
    const admin = { principal: { tenant_id: 'default', actor_id: 'admin', roles: [] } }
    expect((await send(sample, 'POST', '/v1/sessions', {}, admin)).status).toBe(201)
    expect(sample.services.asked.created.at(-1)?.caller).toMatchObject({ actor_id: 'admin', admin: false })
  })

  test('a credential that is sent counts, and a bad one is refused', async () => {
    expect((await send(sample, 'GET', '/v1/sessions', { authorization: 'Bearer nonsense' })).status).toBe(401)
    expect((await send(sample, 'GET', '/v1/sessions', { authorization: 'Basic eDp5' })).status).toBe(401)
    const me = await send(sample, 'GET', '/v1/auth/me', { authorization: sample.bob })
    expect(me.body.principal.actor_id).toBe('bob')
    const dressed = { principal: { tenant_id: 'default', actor_id: 'alice' } }
    await send(sample, 'POST', '/v1/sessions', { authorization: sample.bob }, dressed)
    expect(sample.services.asked.created.at(-1)?.caller).toMatchObject({ actor_id: 'bob' })
  })

  test.each([
    ['a page of another site', { origin: 'https://evil.example' }],
    ['a page of this machine', { origin: 'http://localhost:3000' }],
    ['a sandboxed page', { origin: 'null' }],
    ['an image of another site', { 'sec-fetch-site': 'cross-site' }],
    ['a name that was rebound to loopback', { host: 'evil.example' }],
    ['that name with the port', { host: 'evil.example:PORT' }],
    ['loopback with another port', { host: 'localhost:1' }],
    ['loopback without a port', { host: 'localhost' }],
    ['a name that begins like loopback', { host: 'localhost.evil.example:PORT' }],
    ['a user name in the host', { host: 'localhost@evil.example:PORT' }],
  ])('refused: %s', async (_what, headers) => {
    const filled = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replace('PORT', String(port))]))
    const before = sample.services.asked.created.length
    for (const [method, path] of [
      ['POST', '/v1/sessions'],
      ['GET', '/v1/sessions'],
      ['GET', '/openapi.json'],
    ] as const) {
      const answer = await send(sample, method, path, filled, method === 'POST' ? {} : undefined)
      expect([answer.status, answer.body.error.code], `${method} ${path}`).toEqual([403, 'permission_denied'])
    }
    expect(sample.services.asked.created.length).toBe(before)
  })

  test.each(['localhost', '127.0.0.1', '[::1]', 'LOCALHOST'])('accepted: Host %s with the port', async (name) => {
    expect((await send(sample, 'GET', '/v1/sessions', { host: `${name}:${port}` })).status).toBe(200)
  })
})

describe('behind a gateway', () => {
  const TOKEN = 'shared-token-of-the-gateway'
  let sample: SampleApp
  const gateway = (headers: Record<string, string> = {}) => ({
    'x-workspace-auth-token': TOKEN,
    'x-workspace-tenant-id': 'acme',
    'x-workspace-actor-id': 'dora',
    'x-workspace-roles': 'developer, platform_admin, admin',
    ...headers,
  })
  const get = (url: string, headers: Record<string, string>) => sample.app.inject({ url, headers })

  beforeAll(async () => {
    sample = await sampleApp({ config: { CLOISTER_AUTH: 'trusted_headers', WORKSPACE_AUTH_SHARED_TOKEN: TOKEN } })
  })
  afterAll(() => sample.close())

  test('the headers are the principal; roles end at the ceiling, and nobody is an admin', async () => {
    const me = await get('/v1/auth/me', gateway())
    expect(me.json().principal).toMatchObject({ tenant_id: 'acme', actor_id: 'dora', roles: ['user'], tool_roles: ['developer'] })
    expect((await get('/v1/users', gateway())).statusCode).toBe(403)
  })

  test.each([
    ['no shared token', { 'x-workspace-auth-token': '' }],
    ['another shared token', { 'x-workspace-auth-token': 'shared-token-of-the-gatewaY' }],
    ['the beginning of it', { 'x-workspace-auth-token': TOKEN.slice(0, -1) }],
    ['no tenant', { 'x-workspace-tenant-id': '' }],
    ['no actor', { 'x-workspace-actor-id': '' }],
    ['an actor that would be another tenant', { 'x-workspace-actor-id': 'a/b' }],
    ['an actor with a comma of a doubled header', { 'x-workspace-actor-id': 'dora, admin' }],
    ['an actor that is a path', { 'x-workspace-actor-id': '../x' }],
  ])('401: %s', async (_what, headers) => {
    const answer = await get('/v1/sessions', gateway(headers))
    expect([answer.statusCode, answer.json().error.code]).toEqual([401, 'unauthorized'])
    expect(answer.body).not.toContain(TOKEN)
  })

  test('users have no tokens here; a session has', async () => {
    expect((await get('/v1/sessions', { authorization: sample.admin })).statusCode).toBe(401)
    const made = await sample.app.inject({ method: 'POST', url: '/v1/sessions', headers: gateway(), payload: {} })
    const { id } = made.json().session
    const minted = await sample.app.inject({ method: 'POST', url: `/v1/sessions/${id}/tokens`, headers: gateway() })
    expect(minted.statusCode).toBe(201)
    const bearer = { authorization: `Bearer ${minted.json().token}` }
    const url = `/v1/sessions/${id}/tools/test.echo/invoke`
    expect((await sample.app.inject({ method: 'POST', url, headers: bearer, payload: {} })).statusCode).toBe(200)
    expect((await get('/v1/sessions', bearer)).statusCode).toBe(403)
  })
})

describe('token mode', () => {
  let sample: SampleApp
  afterEach(() => sample.close())

  test("the gateway's headers say nothing here", async () => {
    sample = await sampleApp()
    const headers = { 'x-workspace-auth-token': 'x', 'x-workspace-tenant-id': 'default', 'x-workspace-actor-id': 'admin' }
    expect((await sample.app.inject({ url: '/v1/sessions', headers })).statusCode).toBe(401)
  })
})

import { createHash } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PASSWORD, type SampleApp, sampleApp } from '../../test/http/sample-app.ts'
import { HTTP_STATUS } from '../domain/errors.ts'
import { newId } from '../domain/ids.ts'

let sample: SampleApp
let session: string

beforeAll(async () => {
  sample = await sampleApp()
  const created = await call('POST', '/v1/sessions', { name: 'first' })
  session = created.json().session.id
})
afterAll(() => sample.close())

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS'

function call(method: Method, url: string, body?: unknown, headers: Record<string, string> = {}) {
  return sample.app.inject({
    method,
    url,
    headers: { authorization: sample.alice, ...headers },
    ...(body === undefined ? {} : { payload: body as object }),
  })
}

function filled(url: string): string {
  return url
    .replace(':session_id', session)
    .replace(':tool_name', 'test.echo')
    .replace(':principal', 'default%2Falice')
    .replaceAll(/:[a-z_]+/g, 'x1')
}

describe('deny by default', () => {
  const PUBLIC = [
    '/healthz',
    '/readyz',
    '/metrics',
    '/v1/version',
    '/v1/auth/login',
    '/openapi.json',
    '/docs',
    '/docs/',
    '/docs/js/scalar.js',
  ]

  test('the public list is exactly the documented one', () => {
    const routes = sample.app.routeTable.all()
    expect(routes.length).toBeGreaterThan(40)
    expect(
      routes
        .filter((route) => route.public)
        .map((route) => route.url)
        .sort(),
    ).toEqual([...PUBLIC].sort())
  })

  test('every other route answers 401 without a credential, and with a bad one', async () => {
    const routes = sample.app.routeTable.all().filter((route) => !route.public)
    for (const route of routes)
      for (const authorization of [undefined, 'Bearer nonsense', 'Basic YWRtaW46YWRtaW4=', 'Bearer ']) {
        const answer = await sample.app.inject({
          method: route.method as Method,
          url: filled(route.url),
          headers: authorization === undefined ? {} : { authorization },
        })
        expect(answer.statusCode, `${route.method} ${route.url} ${authorization}`).toBe(401)
        expect(answer.json().error.code).toBe('unauthorized')
        expect(answer.headers['www-authenticate']).toBe('Bearer')
      }
  })

  test('no service is asked before the credential is known', async () => {
    const before = sample.services.asked.created.length
    await sample.app.inject({ method: 'POST', url: '/v1/sessions', payload: { name: 'x' } })
    expect(sample.services.asked.created.length).toBe(before)
  })

  test('a path that does not exist says nothing to a stranger', async () => {
    for (const url of ['/', '/v1/nothing', '/v1/sessions/x/nothing', '/admin'])
      expect((await sample.app.inject({ url })).statusCode, url).toBe(401)
  })

  test('what is public is served without a credential', async () => {
    for (const url of PUBLIC.filter((path) => path !== '/v1/auth/login'))
      expect((await sample.app.inject({ url })).statusCode, url).toBeLessThan(400)
  })
})

describe('errors have one shape', () => {
  test.each([
    ['an unknown path', 'GET', '/v1/nothing', undefined, 404, 'not_found'],
    ['an unknown session', 'GET', '/v1/sessions/ses_none', undefined, 404, 'not_found'],
    ['an unknown invocation', 'GET', '/v1/invocations/inv_none', undefined, 404, 'not_found'],
    ['a broken body', 'POST', '/v1/sessions', '{"name": ', 400, 'invalid_argument'],
    ['a poisoned body', 'POST', '/v1/sessions', '{"__proto__": {"admin": true}}', 400, 'invalid_argument'],
    ['a body that is no object', 'POST', '/v1/sessions', '[]', 400, 'invalid_argument'],
    ['no body', 'POST', '/v1/sessions', '', 400, 'invalid_argument'],
    ['a page too long', 'GET', '/v1/sessions?limit=201', undefined, 400, 'invalid_argument'],
    ['an unknown state', 'GET', '/v1/sessions?state=asleep', undefined, 400, 'invalid_argument'],
    ['a parameter twice', 'GET', '/v1/sessions?q=a&q=b', undefined, 400, 'invalid_argument'],
    ['a bad escape', 'GET', '/v1/sessions/%ZZ', undefined, 400, 'invalid_argument'],
    [
      'a long message',
      'POST',
      '/v1/sessions/x/messages',
      JSON.stringify({ content: 'x'.repeat(100_001) }),
      400,
      'invalid_argument',
    ],
    ['an empty change', 'PATCH', '/v1/sessions/x', '{}', 400, 'invalid_argument'],
  ])('%s', async (_what, method, url, body, status, code) => {
    const answer = await call(method as Method, url, body, body === undefined ? {} : { 'content-type': 'application/json' })
    expect(answer.statusCode).toBe(status)
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    const { error, ...rest } = answer.json()
    expect(rest).toEqual({})
    expect(Object.keys(error)).toEqual(['code', 'message', 'details', 'request_id'])
    expect(error.code).toBe(code)
    expect(error.request_id).toBe(answer.headers['x-request-id'])
  })

  test('unknown fields are refused by name, wherever they stand', async () => {
    const answer = await call('POST', '/v1/sessions', {
      secretz: { A: 'value-that-must-not-be-echoed' },
      principal: { tenant_id: 'default', actor_id: 'alice', admin: true },
      limits: { cpus: 'many' },
    })
    expect(answer.statusCode).toBe(400)
    const { issues } = answer.json().error.details
    expect(issues).toContainEqual({ path: 'secretz', reason: 'unknown field' })
    expect(issues).toContainEqual({ path: 'principal.admin', reason: 'unknown field' })
    expect(issues.find((issue: { path: string }) => issue.path === 'limits.cpus').reason).toMatch(/number/)
    expect(answer.body).not.toContain('value-that-must-not-be-echoed')
    for (const [url, path] of [
      ['/v1/sessions?state=idle&owners=bob', 'query.owners'],
      [`/v1/sessions/${session}/events?since=3`, 'query.since'],
      ['/v1/auth/me?verbose=1', 'query.verbose'],
    ] as const)
      expect((await call('GET', url)).json().error.details.issues).toEqual([{ path, reason: 'unknown field' }])
    const close = await call('POST', `/v1/sessions/${session}/close`, { force: true })
    expect(close.json().error.details.issues).toEqual([{ path: 'force', reason: 'unknown field' }])
  })

  test('the value of a field that does not fit is not sent back', async () => {
    const answer = await call('POST', '/v1/sessions', { secrets: { TOKEN: { nested: 'hunter2-hunter2' } }, setup: 7, name: '' })
    expect(answer.statusCode).toBe(400)
    expect(answer.body).toContain('secrets.TOKEN')
    expect(answer.body).not.toContain('hunter2')
  })

  test('a body of another type is refused, an empty one with a type is none', async () => {
    const text = await call('POST', '/v1/sessions', 'name=x', { 'content-type': 'application/x-www-form-urlencoded' })
    expect([text.statusCode, text.json().error.code]).toEqual([400, 'invalid_argument'])
    const made = await call('POST', '/v1/sessions', {})
    const { id } = made.json().session
    const closed = await call('POST', `/v1/sessions/${id}/close`, '', { 'content-type': 'application/json' })
    expect([closed.statusCode, closed.json().session.state]).toEqual([200, 'closed'])
  })

  test('405 names what is allowed', async () => {
    for (const [method, url, allow] of [
      ['DELETE', '/v1/sessions', 'POST, GET'],
      ['PUT', `/v1/sessions/${session}`, 'GET, PATCH, DELETE'],
      ['OPTIONS', `/v1/sessions/${session}/events`, 'GET'],
      ['POST', `/v1/sessions/${session}/files`, 'GET, PUT'],
    ] as const) {
      const answer = await call(method, url)
      expect([answer.statusCode, answer.json().error.code, answer.headers.allow], url).toEqual([405, 'method_not_allowed', allow])
    }
    expect((await sample.app.inject({ method: 'POST', url: '/healthz' })).statusCode).toBe(405)
    expect((await sample.app.inject({ method: 'HEAD', url: `/v1/sessions/${session}/events` })).statusCode).toBe(401)
  })

  test.each([
    ['a body at the limit', '/v1/sessions/SESSION/messages', 2 * 1024 * 1024 - 20, 400],
    ['a body beyond 2 MiB', '/v1/sessions/SESSION/messages', 2 * 1024 * 1024, 413],
    ['a new session beyond 2 MiB', '/v1/sessions', 3 * 1024 * 1024, 400],
    ['a new session beyond 4 MiB', '/v1/sessions', 4 * 1024 * 1024, 413],
    ['a login of that size', '/v1/auth/login', 20_000, 413],
  ])('%s', async (_what, url, size, status) => {
    const answer = await call('POST', url.replace('SESSION', session), { content: 'x'.repeat(size) })
    expect(answer.statusCode).toBe(status)
    expect(answer.json().error.code).toBe(status === 413 ? 'payload_too_large' : 'invalid_argument')
  })

  test.each(['test.broken', 'test.internal'])('what is not ours to show is not shown, and is in the log: %s', async (tool) => {
    const answer = await call('POST', `/v1/sessions/${session}/tools/${tool}/invoke`, { args: {} })
    expect([answer.statusCode, answer.json().error.code, answer.json().error.details]).toEqual([500, 'internal', {}])
    expect(answer.body).not.toMatch(/postgres|hunter2|srv|\.ts/)
    const { request_id } = answer.json().error
    expect(sample.log.some((line) => line.includes(request_id) && line.includes('postgres'))).toBe(true)
  })

  test('a refused invocation brings its record', async () => {
    const answer = await call('POST', `/v1/sessions/${session}/tools/test.guarded/invoke`, { args: { a: 1 } })
    expect(answer.statusCode).toBe(428)
    const { error, invocation } = answer.json()
    expect([error.code, invocation.status, invocation.args]).toEqual(['approval_required', 'denied', { a: 1 }])
    expect((await call('GET', `/v1/invocations/${invocation.id}`)).json().invocation).toEqual(invocation)
  })

  test('429 says when to come back', async () => {
    const answer = await call('POST', `/v1/sessions/${session}/tools/test.limited/invoke`, { args: {} })
    expect([answer.statusCode, answer.json().error.code, answer.headers['retry-after']]).toEqual([429, 'rate_limited', '2'])
  })

  test('all codes have the documented status', async () => {
    expect(HTTP_STATUS).toMatchObject({
      unauthorized: 401,
      permission_denied: 403,
      conflict: 409,
      approval_required: 428,
      internal: 500,
    })
  })
})

describe('request ids', () => {
  test.each([
    ['well formed', 'abc-123_X.y', true],
    ['too long', 'x'.repeat(129), false],
    ['with a line break', 'a\tb', false],
    ['empty', '', false],
  ])('%s', async (_what, given, kept) => {
    const answer = await sample.app.inject({ url: '/healthz', headers: { 'x-request-id': given } })
    const id = answer.headers['x-request-id']
    if (kept) expect(id).toBe(given)
    else expect(id).toMatch(/^req_[0-9a-z]{26}$/)
  })

  test('each request without one gets its own, also when it is refused', async () => {
    const ids = await Promise.all(
      [1, 2, 3].map(async () => (await sample.app.inject({ url: '/v1/sessions' })).headers['x-request-id']),
    )
    expect(new Set(ids).size).toBe(3)
  })
})

describe('sessions', () => {
  test('what was given in confidence is never shown', async () => {
    const made = await call('POST', '/v1/sessions', {
      name: 'confidential',
      secrets: { API_KEY: 'sk-live-0123456789' },
      instructions: 'INSTRUCTIONS-TEXT',
      setup: '#!/bin/bash\n# SETUP-TEXT',
    })
    expect(made.statusCode).toBe(201)
    const { id } = made.json().session
    expect(sample.services.asked.created.at(-1)?.request.secrets).toEqual({ API_KEY: 'sk-live-0123456789' })
    await sample.store.sessions.update(id, {
      sandbox: {
        kind: 'bubblewrap',
        generation: 3,
        phase: 'running',
        detail: { pid: 4711, socket: '/run/private/host.sock' },
        isolation: null,
        started_at: '2026-01-01T00:00:00.000Z',
      },
    })
    const shown = [made.body, (await call('GET', `/v1/sessions/${id}`)).body, (await call('GET', '/v1/sessions')).body].join()
    expect(shown).toContain('"generation":3')
    expect(shown).not.toMatch(
      /sk-live|API_KEY|INSTRUCTIONS-TEXT|SETUP-TEXT|4711|host\.sock|2000\d\d|\/srv\/private|has_setup|sandbox_uid/,
    )
  })

  test('keys stand in the order of the schema', async () => {
    const got = await call('GET', `/v1/sessions/${session}`)
    expect(Object.keys(got.json().session).slice(0, 6)).toEqual(['id', 'name', 'state', 'state_reason', 'owner', 'principal'])
    const invoked = await call('POST', `/v1/sessions/${session}/tools/test.echo/invoke`, { args: { z: 1, a: 2 } })
    const again = await call('GET', `/v1/invocations/${invoked.json().invocation.id}`)
    expect(again.body).toBe(invoked.body)
    expect(Object.keys(again.json().invocation).slice(0, 4)).toEqual(['id', 'session_id', 'turn_id', 'tool_name'])
  })

  test("somebody else's does not exist, for a read as for a change", async () => {
    for (const [method, url] of [
      ['GET', `/v1/sessions/${session}`],
      ['PATCH', `/v1/sessions/${session}`],
      ['DELETE', `/v1/sessions/${session}`],
      ['GET', `/v1/sessions/${session}/events`],
      ['GET', `/v1/sessions/${session}/events/verify`],
      ['GET', `/v1/sessions/${session}/messages`],
      ['POST', `/v1/sessions/${session}/tokens`],
    ] as const) {
      const theirs = await call(method, url, method === 'PATCH' ? { name: 'mine now' } : undefined, { authorization: sample.bob })
      const none = await call(method, url.replace(session, 'ses_none'), method === 'PATCH' ? { name: 'x' } : undefined)
      expect([theirs.statusCode, theirs.json().error.message], `${method} ${url}`).toEqual([404, none.json().error.message])
    }
    expect((await call('GET', `/v1/sessions/${session}`, undefined, { authorization: sample.admin })).statusCode).toBe(200)
  })

  test('pages', async () => {
    for (let i = 0; i < 3; i++) await call('POST', '/v1/sessions', { name: `page ${i}` }, { authorization: sample.bob })
    const first = (await call('GET', '/v1/sessions?limit=2', undefined, { authorization: sample.bob })).json()
    const second = (
      await call('GET', `/v1/sessions?limit=2&cursor=${encodeURIComponent(first.next_cursor)}`, undefined, {
        authorization: sample.bob,
      })
    ).json()
    expect([...first.sessions, ...second.sessions].map((each: { name: string }) => each.name)).toEqual([
      'page 2',
      'page 1',
      'page 0',
    ])
    expect(second.next_cursor).toBe(null)
  })

  test('delete answers once, the events stay for those who ask for them', async () => {
    const { id } = (await call('POST', '/v1/sessions', {})).json().session
    const deleted = await call('DELETE', `/v1/sessions/${id}`)
    expect([deleted.statusCode, deleted.json().closed, deleted.json().session.state]).toEqual([200, true, 'deleted'])
    expect((await call('DELETE', `/v1/sessions/${id}`)).statusCode).toBe(404)
    expect((await call('GET', `/v1/sessions/${id}/events`)).statusCode).toBe(404)
    const kept = await call('GET', `/v1/sessions/${id}/events?deleted=true`)
    expect(kept.json().events.map((event: { type: string }) => event.type)).toEqual(['session.created', 'session.deleted'])
    expect((await call('GET', `/v1/sessions/${id}/events/verify?deleted=true`)).json()).toEqual({ valid: true, events: 2 })
  })
})

describe('an agent credential', () => {
  test('invokes in its one session and does nothing else', async () => {
    const minted = await call('POST', `/v1/sessions/${session}/tokens`, { expires_in_seconds: 600 })
    expect(minted.statusCode).toBe(201)
    const authorization = `Bearer ${minted.json().token}`
    const as = (method: Method, url: string, body?: unknown) => call(method, url, body, { authorization })
    expect((await as('POST', `/v1/sessions/${session}/tools/test.echo/invoke`, { args: {} })).statusCode).toBe(200)
    const other = (await call('POST', '/v1/sessions', {})).json().session.id
    expect((await as('POST', `/v1/sessions/${other}/tools/test.echo/invoke`, { args: {} })).statusCode).toBe(404)
    expect((await as('GET', '/v1/auth/me')).json().principal).toMatchObject({
      kind: 'mcp',
      session_id: session,
      permissions: [],
      roles: [],
    })
    for (const [method, url, body] of [
      ['POST', '/v1/sessions', {}],
      ['GET', '/v1/sessions'],
      ['DELETE', `/v1/sessions/${session}`],
      ['POST', `/v1/sessions/${session}/messages`, { content: 'x' }],
      ['POST', `/v1/sessions/${session}/tokens`],
      ['GET', '/v1/users'],
      ['POST', '/v1/auth/tokens', { name: 'more' }],
    ] as const)
      expect((await as(method, url, body)).statusCode, `${method} ${url}`).toBe(403)
  })
})

describe('invocations', () => {
  test('202 while it waits for an approval, 200 when it ran', async () => {
    const url = `/v1/sessions/${session}/tools/test.guarded/invoke`
    const pending = await call('POST', url, { args: {}, request_approval: true })
    expect([pending.statusCode, pending.json().invocation.status]).toEqual([202, 'pending_approval'])
    expect((await call('POST', url, { args: {}, approved: true })).statusCode).toBe(200)
  })

  test('args reach the gate unparsed, whatever they are', async () => {
    for (const args of [[], 'text', null, 7]) {
      await call('POST', `/v1/sessions/${session}/tools/test.echo/invoke`, { args })
      expect(sample.services.asked.invoked.at(-1)?.request).toEqual({ session_id: session, tool_name: 'test.echo', args })
    }
    await call('POST', `/v1/sessions/${session}/tools/test.echo/invoke`, {})
    expect(sample.services.asked.invoked.at(-1)?.request.args).toEqual({})
  })

  test('artifacts come as attachments that no browser runs', async () => {
    const { invocation } = (await call('POST', `/v1/sessions/${session}/tools/test.echo/invoke`, { args: {} })).json()
    const listed = await call('GET', `/v1/invocations/${invocation.id}/artifacts`)
    expect(listed.json().artifacts[0].content_type).toBe('text/html')
    const got = await call('GET', `/v1/invocations/${invocation.id}/artifacts/art_1`)
    expect(got.body).toBe('<script>alert(1)</script>')
    expect(got.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'x-content-type-options': 'nosniff',
      'content-disposition': `attachment; filename="na_ve__page_.html__x__y"; filename*=UTF-8''na%C3%AFve%20%22page%22.html%0D%0Ax%3A%20y`,
    })
    expect(
      (await call('GET', `/v1/invocations/${invocation.id}/artifacts/art_1`, undefined, { authorization: sample.bob }))
        .statusCode,
    ).toBe(404)
    expect((await call('GET', `/v1/invocations/${invocation.id}/logs`)).json().logs).toHaveLength(1)
  })

  test('artifacts are sent in parts, and not at all to who has them', async () => {
    const { invocation } = (await call('POST', `/v1/sessions/${session}/tools/test.echo/invoke`, { args: {} })).json()
    const url = `/v1/invocations/${invocation.id}/artifacts/art_1`
    const get = (headers: Record<string, string>) => call('GET', url, undefined, headers)
    const whole = await get({})
    const etag = whole.headers['etag'] as string
    expect(whole.headers).toMatchObject({ 'accept-ranges': 'bytes', 'content-length': '25' })
    expect(etag).toBe(`"${createHash('sha256').update(whole.rawPayload).digest('hex')}"`)

    const part = await get({ range: 'bytes=8-12', 'if-range': etag })
    expect([part.statusCode, part.body]).toEqual([206, 'alert'])
    expect(part.headers).toMatchObject({
      'content-range': 'bytes 8-12/25',
      'content-length': '5',
      etag,
      'content-disposition': whole.headers['content-disposition'],
      'x-content-type-options': 'nosniff',
    })
    expect((await get({ range: 'bytes=-9' })).body).toBe('</script>')
    expect((await get({ range: 'bytes=8-12', 'if-range': '"another"' })).statusCode).toBe(200)

    const had = await get({ 'if-none-match': etag })
    expect([had.statusCode, had.body, had.headers['etag']]).toEqual([304, '', etag])

    const beyond = await get({ range: 'bytes=25-' })
    expect(beyond.statusCode).toBe(416)
    expect(beyond.headers['content-range']).toBe('bytes */25')
    expect(beyond.json().error).toMatchObject({ code: 'range_not_satisfiable', details: { size_bytes: 25 } })
    // Nothing of it is told to somebody else.
    expect((await get({ range: 'bytes=25-', authorization: sample.bob })).statusCode).toBe(404)
    expect((await get({ 'if-none-match': '*', authorization: sample.bob })).statusCode).toBe(404)
  })

  test('tools, in full and compact', async () => {
    const full = (await call('GET', `/v1/sessions/${session}/tools`)).json().tools[0]
    expect(full.policy).toEqual({
      paths: [],
      patches: [],
      encoded: [],
      refs: [],
      command_args: [],
      whole_repository: false,
      writes_anywhere: false,
      needs_network: false,
      remotes: [],
      refspecs: [],
      needs_setting: null,
    })
    const compact = (await call('GET', `/v1/sessions/${session}/tools?detail=compact`)).json().tools[0]
    expect(Object.keys(compact)).toEqual([
      'name',
      'family',
      'description',
      'scope',
      'side_effects',
      'risk_level',
      'requires_approval',
    ])
  })
})

describe('approvals', () => {
  test('decided with a reason or without', async () => {
    for (const decision of ['approve', 'deny', 'revoke'] as const) {
      const id = newId('apr')
      sample.services.approvalRecords.set(id, {
        id,
        session_id: session,
        invocation_id: 'inv_1',
        tool_name: 'fs.write',
        args: {},
        args_digest: 'd',
        policy_version: '1',
        state_digest: null,
        requested_by: 'default/alice',
        approvers: [['owner', 'admin']],
        status: 'pending',
        decided_by: null,
        reason: null,
        created_at: '2026-01-01T00:00:00.000Z',
        expires_at: '2026-01-02T00:00:00.000Z',
        decided_at: null,
      })
      expect((await call('POST', `/v1/approvals/${id}/${decision}`, undefined, { authorization: sample.bob })).statusCode).toBe(
        404,
      )
      const body = decision === 'deny' ? { reason: 'no' } : undefined
      const answer = await call('POST', `/v1/approvals/${id}/${decision}`, body)
      expect([answer.statusCode, answer.json().approval.decided_by]).toEqual([200, 'default/alice'])
      expect(answer.json().approval.reason).toBe(decision === 'deny' ? 'no' : null)
    }
  })
})

describe('users, tokens, roles', () => {
  test('login, API token, revocation', async () => {
    const login = await sample.app.inject({
      method: 'POST',
      url: '/v1/auth/login',
      payload: { user: 'alice', password: PASSWORD },
    })
    expect(login.statusCode).toBe(200)
    expect(login.body).not.toContain('password')
    const made = await call('POST', '/v1/auth/tokens', { name: 'ci' })
    const { token, value } = made.json()
    const as = (authorization: string) => call('GET', '/v1/auth/me', undefined, { authorization })
    expect((await as(`Bearer ${value}`)).json().principal).toMatchObject({ kind: 'user', actor_id: 'alice', roles: ['user'] })
    const listed = await call('GET', '/v1/auth/tokens')
    expect(listed.json().tokens).toHaveLength(1)
    expect(listed.body).not.toContain(value)
    expect((await call('DELETE', `/v1/auth/tokens/${token.id}`, undefined, { authorization: sample.bob })).statusCode).toBe(404)
    expect((await call('DELETE', `/v1/auth/tokens/${token.id}`)).statusCode).toBe(200)
    expect((await as(`Bearer ${value}`)).statusCode).toBe(401)
  })

  test('administration is for admins', async () => {
    for (const [method, url, body] of [
      ['GET', '/v1/users'],
      ['POST', '/v1/users', { name: 'carol', password: PASSWORD }],
      ['GET', '/v1/users/bob'],
      ['PATCH', '/v1/users/alice', { roles: ['admin'] }],
      ['DELETE', '/v1/users/bob'],
      ['GET', '/v1/role-bindings'],
      ['POST', '/v1/role-bindings', { principal: 'default/alice', role_name: 'admin' }],
      ['DELETE', '/v1/role-bindings/default%2Fadmin/admin'],
    ] as const)
      expect((await call(method, url, body)).statusCode, `${method} ${url}`).toBe(403)

    const as = (method: Method, url: string, body?: unknown) => call(method, url, body, { authorization: sample.admin })
    expect((await as('POST', '/v1/users', { name: 'carol', password: PASSWORD })).statusCode).toBe(201)
    expect((await as('POST', '/v1/users', { name: 'carol', password: PASSWORD })).statusCode).toBe(409)
    expect((await as('POST', '/v1/role-bindings', { principal: 'default/carol', role_name: 'admin' })).statusCode).toBe(201)
    expect((await as('GET', '/v1/users/carol')).json().user.roles).toContain('admin')
    expect((await as('DELETE', '/v1/role-bindings/default%2Fcarol/admin')).statusCode).toBe(200)
    expect((await as('PATCH', '/v1/users/carol', { active: false })).json().user.active).toBe(false)
    expect((await as('DELETE', '/v1/users/carol')).statusCode).toBe(200)
    expect((await as('GET', '/v1/users')).body).not.toMatch(/hash|argon2/)
  })
})

describe('the server itself', () => {
  test('metrics count requests, sessions and invocations, by labels that are not ids', async () => {
    await call('POST', `/v1/sessions/${session}/tools/test.echo/invoke`, { args: {} })
    const text = (await sample.app.inject({ url: '/metrics' })).body
    expect(text).toMatch(/cloister_http_requests_total\{method="GET",route="\/v1\/sessions\/:session_id",status="200"\} \d+/)
    expect(text).toMatch(/cloister_sessions\{state="idle"\} [1-9]/)
    expect(text).toMatch(/cloister_invocations_total\{tool="test.echo",status="succeeded"\} [1-9]/)
    expect(text).toMatch(/cloister_invocations_total\{tool="test.guarded",status="denied"\} [1-9]/)
    expect(text).not.toContain(session)
  })

  test('not ready while a part is away, without its internals', async () => {
    const away = await sampleApp({
      deps: { readiness: { store: () => Promise.reject(new Error('/srv/db is locked')), sandbox: async () => {} } },
    })
    const answer = await away.app.inject({ url: '/readyz' })
    expect([answer.statusCode, answer.json()]).toEqual([503, { status: 'not_ready', checks: { store: 'failed', sandbox: 'ok' } }])
    expect((await away.app.inject({ url: '/healthz' })).statusCode).toBe(200)
    await away.close()
  })

  test('what is logged holds no credential', async () => {
    await call('POST', `/v1/sessions/${session}/messages?x=1`, { content: 'hello' })
    sample.app.log.info(
      { headers: { authorization: sample.alice }, req: { headers: { cookie: 'c00kie' } }, password: PASSWORD },
      'careless',
    )
    const log = sample.log.join('')
    expect(log).toContain('"msg":"careless"')
    expect(log).not.toContain(sample.alice.slice(7))
    expect(log).not.toMatch(/c00kie|correct horse/)
    const line = sample.log
      .map((each) => JSON.parse(each))
      .find((each) => each.path === `/v1/sessions/${session}/messages` && each.status === 400)
    expect(line).toMatchObject({ level: 'info', method: 'POST', status: 400, request_id: expect.stringMatching(/^req_/) })
  })

  test('answers carry the headers that browsers need told', async () => {
    for (const url of ['/healthz', '/v1/sessions', '/v1/nothing']) {
      const { headers } = await sample.app.inject({ url })
      expect(headers['x-content-type-options'], url).toBe('nosniff')
      expect(headers['content-security-policy'], url).toContain("default-src 'none'")
      expect(headers['strict-transport-security'], url).toBe(undefined)
    }
    const docs = await sample.app.inject({ url: '/docs/' })
    expect(docs.headers['content-security-policy']).toContain("connect-src 'self'")
    expect(docs.body).not.toMatch(/src="https?:/)
  })

  test('what is no HTTP is told so, in the one shape', async () => {
    await sample.app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = sample.app.server.address() as AddressInfo
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('GARBAGE\r\n\r\n'))
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('close', () => resolve(text))
    })
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))).error.code).toBe('invalid_argument')
  })
})

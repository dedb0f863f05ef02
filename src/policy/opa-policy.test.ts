import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { OpaPolicy } from './opa-policy.ts'
import { sampleRequest } from './request.sample.ts'

/** Speaks OPA's data API: POST /v1/data/<path>, `{"input": ...}` in, `{"result": ...}` out, no result when the rule is undefined. */
let answer: (request: IncomingMessage, response: ServerResponse, body: { input: Record<string, unknown> }) => void
const seen: { method: string | undefined; url: string | undefined; type: string | undefined; body: unknown }[] = []
const server = createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  const body = JSON.parse(text)
  seen.push({ method: request.method, url: request.url, type: request.headers['content-type'], body })
  answer(request, response, body)
})
let url: string
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/data/cloister/decision`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const json =
  (value: unknown, status = 200) =>
  (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
const raw = (text: string) => (_: IncomingMessage, response: ServerResponse) => response.end(text)
const request = sampleRequest({
  args: { path: 'src/a.ts' },
  tool: { policy: { paths: [{ field: 'path', access: 'write' }] } },
  session: { metadata: { team: 'pay' } },
})
const ask = (timeoutMs = 5000) => new OpaPolicy({ url, timeoutMs }).decide(request)

it('sends what docs/policy.md says', async () => {
  answer = json({ result: true })
  await ask()
  expect(seen.at(-1)).toEqual({
    method: 'POST',
    url: '/v1/data/cloister/decision',
    type: 'application/json',
    body: {
      input: {
        principal: { id: 'default/alice', tenant: 'default', actor: 'alice', roles: ['developer'] },
        caller: { kind: 'user', id: 'default/alice' },
        session: {
          id: 'ses_sample',
          owner: { tenant: 'default', actor: 'alice' },
          network: 'none',
          allowed_paths: ['.'],
          metadata: { team: 'pay' },
          repo_url: null,
        },
        tool: {
          name: 'fs.sample',
          family: 'fs',
          scope: 'workspace',
          risk: 'low',
          side_effects: 'none',
          requires_approval: false,
          needs_network: false,
          whole_repository: false,
        },
        args: { path: 'src/a.ts' },
        paths: {
          touched: ['.', 'src', 'src/a.ts'],
          written: ['.', 'src', 'src/a.ts'],
          written_whole: ['src/a.ts'],
          touched_root: 'src/a.ts',
          written_root: 'src/a.ts',
        },
        network: 'none',
        needs_approval: false,
      },
    },
  })
})

const allowed = { effect: 'allow', reason: null, policies: [], demands: [] }
it.each([
  ['true', { result: true }, allowed],
  ['an object', { result: { allow: true } }, allowed],
  ['more than we know', { decision_id: 'x', result: { allow: true, extra: 1 } }, allowed],
  [
    'a demand',
    {
      result: {
        allow: true,
        reason: 'it ships',
        policies: ['r1'],
        approval: { required: true, approvers: ['role:devops', 'admin'], ttl: '15m' },
      },
    },
    {
      effect: 'allow',
      reason: 'it ships',
      policies: ['r1'],
      demands: [{ approvers: ['role:devops', 'admin'], ttl_seconds: 900 }],
    },
  ],
  ['no demand', { result: { allow: true, approval: { required: false } } }, allowed],
  ['false', { result: false }, { effect: 'deny' }],
  [
    'a refusal with a reason',
    { result: { allow: false, reason: 'no', policies: ['r2'] } },
    { effect: 'deny', reason: 'no', policies: ['r2'] },
  ],
  ['an undefined rule', {}, { effect: 'deny', reason: expect.stringContaining('undefined') }],
  ['null', { result: null }, { effect: 'deny' }],
  ['a word', { result: 'true' }, { effect: 'deny' }],
  ['a number', { result: 1 }, { effect: 'deny' }],
  ['an object without allow', { result: { reason: 'x' } }, { effect: 'deny' }],
  ['an allow that is none', { result: { allow: 'yes' } }, { effect: 'deny' }],
  [
    'approvers that are nobody',
    { result: { allow: true, approval: { required: true, approvers: ['all'] } } },
    { effect: 'deny' },
  ],
  ['no approvers', { result: { allow: true, approval: { required: true, approvers: [] } } }, { effect: 'deny' }],
  ['a time that is none', { result: { allow: true, approval: { required: true, ttl: 'soon' } } }, { effect: 'deny' }],
  ['a list', [], { effect: 'deny' }],
])('understands %s', async (_, body, expected) => {
  answer = json(body)
  expect(await ask()).toMatchObject(expected)
})

it.each<[string, typeof answer, number, RegExp]>([
  ['500', json({ code: 'internal_error', message: 'http://10.0.0.1' }, 500), 5000, /status 500/],
  ['a status that is no answer', json({ result: true }, 201), 5000, /status 201/],
  ['no JSON', raw('{"result": tru'), 5000, /not JSON/],
  ['nothing', raw(''), 5000, /not JSON/],
  ['an endless answer', raw(`{"result": true, "x": "${'x'.repeat(400_000)}"}`), 5000, /larger/],
  ['a redirect', (_, response) => response.writeHead(307, { location: '/v1/data/allow' }).end(), 5000, /could not be reached/],
  ['silence', () => undefined, 50, /in time/],
  ['an answer that never ends', (_, response) => response.writeHead(200).write('{"result": true'), 50, /in time/],
  ['a broken connection', (message) => message.socket.destroy(), 5000, /could not be reached/],
])('refuses after %s', async (_, given, timeoutMs, reason) => {
  answer = given
  const verdict = await ask(timeoutMs)
  expect(verdict).toMatchObject({ effect: 'deny', reason: expect.stringMatching(reason) })
  expect(verdict.reason).not.toContain('127.0.0.1')
})

it('refuses when nobody is there, and does not ask about what it cannot describe', async () => {
  const verdict = await new OpaPolicy({ url: 'http://127.0.0.1:9/v1/data/x', timeoutMs: 2000 }).decide(request)
  expect(verdict).toMatchObject({ effect: 'deny', reason: expect.stringContaining('could not be reached') })
  const before = seen.length
  const escaping = await new OpaPolicy({ url, timeoutMs: 2000 }).decide({ ...request, args: { path: '../../x' } })
  expect(escaping.effect).toBe('deny')
  expect(seen.length).toBe(before)
})

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'

/** Policies of an administrator, on the whole server as a process, and what the CLI says of them. */

const BIN = fileURLToPath(new URL('../../bin/cloister.mjs', import.meta.url))
const SHIPPED = fileURLToPath(new URL('../../src/policy/cedar/default', import.meta.url))

const ALL = '@id("all") permit (principal, action, resource);\n'
const ASK =
  '@id("ask") @approval("required") @approvers("role:devops") @approval_ttl("10m")\npermit (principal, action == Action::"fs.write", resource);\n'
const NO_GIT = '@id("no-git") @reason("no version control today")\nforbid (principal, action in Action::"git", resource);\n'

let work: string
let policies: string
let server: ServerProcess
let alice: string
let dora: string

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'cloister-e2e-policy-'))
  policies = join(work, 'policies')
  mkdirSync(policies)
  writeFileSync(join(policies, 'a.cedar'), ALL + ASK)
  server = await ServerProcess.start({ env: { CLOISTER_POLICY: policies } })
  alice = await server.user('alice')
  dora = await server.user('dora', { tool_roles: ['devops'] })
})
afterAll(async () => {
  await server?.destroy()
  rmSync(work, { recursive: true, force: true })
})

async function reload(): Promise<string> {
  const before = server.output.length
  server.process.kill('SIGHUP')
  await vi.waitFor(() => expect(server.output.slice(before)).toMatch(/the policies were/), { timeout: 20_000 })
  return server.output.slice(before)
}

function cloister(args: string[], env: Record<string, string> = {}): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env['PATH'], HOME: work, CLOISTER_URL: server.url, CLOISTER_TOKEN: alice, ...env } }
    execFile(process.execPath, [BIN, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

describe('policies of an administrator', () => {
  it('are checked on SIGHUP: a bad set is refused with file, line and reason, and the old one stays', async () => {
    const { id } = await server.session({}, alice)
    const status = () => server.invoke(id, 'git.status', {}, {}, alice)
    const first = await status()
    expect(first.body.invocation.decision).toMatchObject({ effect: 'allow', policies: ['all'] })

    writeFileSync(join(policies, 'b.cedar'), `// today\n${NO_GIT}forbid (principal, action == Action::"git.shove", resource);\n`)
    expect(await reload()).toMatch(/b\.cedar:4: .*git\.shove/)
    writeFileSync(join(policies, 'b.cedar'), 'forbid (principal, action, resource) unless { principal in Role::"develper" };')
    expect(await reload()).toMatch(/b\.cedar:1: .*develper.*developer/)
    const second = await status()
    expect(second.body.invocation.decision).toMatchObject({
      effect: 'allow',
      policy_version: first.body.invocation.decision.policy_version,
    })

    writeFileSync(join(policies, 'b.cedar'), NO_GIT)
    expect(await reload()).toContain('the policies were read again')
    const third = await status()
    expect(third.status).toBe(403)
    expect(third.body.error).toMatchObject({ code: 'policy_denied', details: { rule: 'cedar', policies: ['no-git'] } })
    expect(third.body.error.message).toContain('no version control today')
    expect(third.body.invocation.decision).toMatchObject({ effect: 'deny', policies: ['no-git'] })
    const { tools } = (await server.request('GET', `/v1/sessions/${id}/tools`, { token: alice })).body
    expect(tools.length).toBeGreaterThan(40)
    expect(tools.filter(({ family }: { family: string }) => family === 'git')).toEqual([])
    expect(third.body.invocation.decision.policy_version).not.toBe(first.body.invocation.decision.policy_version)
  })

  it('name people who approve without owning the session; a replaced set makes what waits stale', async () => {
    const { id } = await server.session({}, alice)
    const write = () =>
      server
        .invoke(id, 'fs.write', { path: 'a.txt', content: 'hola' }, { request_approval: true }, alice)
        .then(({ body }) => body)
    const { invocation } = await write()
    expect(invocation.status).toBe('pending_approval')
    const page = await server.request('GET', '/v1/approvals?status=pending', { token: dora })
    const approval = page.body.approvals.find((each: { invocation_id: string }) => each.invocation_id === invocation.id)
    expect(approval.approvers).toEqual([['role:devops']])
    expect(Date.parse(approval.expires_at) - Date.parse(approval.created_at)).toBe(600_000)
    expect((await server.request('POST', `/v1/approvals/${approval.id}/approve`, { token: alice, body: {} })).status).toBe(403)
    expect((await server.request('POST', `/v1/approvals/${approval.id}/approve`, { token: dora, body: {} })).status).toBe(200)
    await expect
      .poll(
        async () => (await server.request('GET', `/v1/invocations/${invocation.id}`, { token: alice })).body.invocation.status,
      )
      .toBe('succeeded')
    for (const path of [`/v1/sessions/${id}`, `/v1/invocations/${invocation.id}`, `/v1/sessions/${id}/files?path=a.txt`])
      expect((await server.request('GET', path, { token: dora })).status).toBe(404)

    const later = (await write()).invocation
    writeFileSync(join(policies, 'a.cedar'), `// another text\n${ALL}${ASK}`)
    await reload()
    const waiting = (await server.request('GET', '/v1/approvals?status=pending', { token: dora })).body.approvals
    await server.request('POST', `/v1/approvals/${waiting[0].id}/approve`, { token: dora, body: {} })
    await expect
      .poll(async () => (await server.request('GET', `/v1/invocations/${later.id}`, { token: alice })).body.invocation.error)
      .toMatchObject({ code: 'policy_denied', details: { rule: 'approval_stale' } })
  })
})

it.each([
  ['a bad policy', 'permit (principal, action == Action::"fs.nothing", resource);', /a\.cedar:1: .*fs\.nothing/],
  ['no policy', null, /holds no \*\.cedar/],
])('the server does not start with %s', async (_, text, reason) => {
  const folder = mkdtempSync(join(work, 'bad-'))
  if (text !== null) writeFileSync(join(folder, 'a.cedar'), text)
  const refused = ServerProcess.start({ home: join(folder, 'home'), env: { CLOISTER_POLICY: folder } })
  await expect(refused).rejects.toThrow(/ended with 2/)
  await expect(refused).rejects.toThrow(reason)
})

it('what a policy says of the content of fs.write holds for an uploaded file', async () => {
  const { id } = await server.session({}, alice)
  writeFileSync(join(policies, 'a.cedar'), ALL)
  writeFileSync(
    join(policies, 'b.cedar'),
    '@id("no-keys") forbid (principal, action == Action::"fs.write", resource) when { context.args.content like "*PRIVATE KEY*" };',
  )
  await reload()
  const put = (raw: string) =>
    server.request('PUT', `/v1/sessions/${id}/files?path=k.pem&approved=true`, { token: alice, body: { raw } })
  const key = await put('-----BEGIN PRIVATE KEY-----')
  expect([key.status, key.body.error]).toMatchObject([403, { code: 'policy_denied', details: { policies: ['no-keys'] } }])
  const large = await put(`${'x'.repeat(5_000_000)}-----BEGIN PRIVATE KEY-----`)
  expect([large.status, large.body.error]).toMatchObject([403, { code: 'policy_denied', details: { rule: 'cedar' } }])
  expect((await server.request('GET', `/v1/sessions/${id}/files?path=k.pem`, { token: alice })).status).toBe(404)
  expect((await put('hola')).status).toBe(200)
})

describe('the CLI', () => {
  let session: string
  beforeAll(async () => {
    writeFileSync(join(policies, 'a.cedar'), ALL + ASK)
    writeFileSync(join(policies, 'b.cedar'), '// nothing today\n')
    await reload()
    session = (await server.session({ secrets: { TOKEN: 'swordfish-42' } }, alice)).id
  })

  it('policy check says whether, and why', async () => {
    const allowed = await cloister(['--json', 'policy', 'check', session, 'fs.list'])
    expect(JSON.parse(allowed.stdout).check).toMatchObject({ effect: 'allow', policies: ['all'] })
    expect(allowed.code).toBe(0)
    const asks = await cloister(['policy', 'check', session, 'fs.write', '{"path": "a", "content": ""}'])
    expect([asks.code, asks.stdout]).toEqual([3, expect.stringMatching(/needs an approval\n[\s\S]*approvers: role:devops/)])
    const denied = await cloister(['policy', 'check', session, 'fs.read', '{"path": "/etc/passwd"}'])
    expect([denied.code, denied.stdout]).toEqual([3, expect.stringMatching(/refused\n[\s\S]*path_scope/)])
    expect((await cloister(['policy', 'check', session, 'fs.list'], { CLOISTER_TOKEN: dora })).code).toBe(4)
    expect((await server.request('GET', `/v1/sessions/${session}/invocations`, { token: alice })).body.invocations).toEqual([])
  })

  it('policy test compares, without a server', async () => {
    const env = { CLOISTER_URL: 'http://127.0.0.1:9', CLOISTER_TOKEN: '' }
    const folder = join(work, 'tested')
    mkdirSync(folder)
    writeFileSync(join(folder, 'a.cedar'), ALL + NO_GIT)
    const cases = [
      { name: 'no git', tool: 'git.status', expect: { effect: 'deny', policies: ['no-git'] } },
      { name: 'lists', tool: 'fs.list', expect: 'allow' },
    ]
    writeFileSync(join(folder, 'a.test.json'), JSON.stringify({ cases }))
    expect(await cloister(['policy', 'test', folder], env)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('2 as expected, 0 not'),
    })
    const other = await cloister(['--json', 'policy', 'test', folder, '--policy', SHIPPED], env)
    expect([other.code, JSON.parse(other.stdout)]).toMatchObject([1, { passed: 1, failed: 1 }])
    writeFileSync(join(folder, 'a.cedar'), `${ALL}permit (principal, action resource);`)
    expect(await cloister(['policy', 'test', folder], env)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('a.cedar:2'),
    })
  })

  it('policy replay finds no difference under the same set, and under a stricter one exactly the calls that it refuses', async () => {
    const git = (await server.invoke(session, 'git.status', {}, {}, alice)).body.invocation
    await server.invoke(session, 'fs.list', {}, {}, alice)
    await server.invoke(session, 'fs.read', { path: '/etc/passwd' }, {}, alice)
    await server.invoke(session, 'fs.write', { path: 'a', content: 'x' }, {}, alice)
    await server.invoke(session, 'fs.list', { path: 7 }, {}, alice)
    const upload = await server.request('PUT', `/v1/sessions/${session}/files?path=b.txt`, {
      token: alice,
      body: { raw: 'bytes' },
    })
    expect(upload.status).toBe(428)

    const same = await cloister(['--json', 'policy', 'replay', '--session', session, '--policy', policies])
    const unchanged = JSON.parse(same.stdout)
    expect([same.code, unchanged.summary]).toEqual([0, { same: 4, differs: 0, undecidable: 1, undecided: 1 }])
    expect(unchanged.calls.find((each: { verdict: string }) => each.verdict === 'undecidable')).toMatchObject({
      tool_name: 'fs.write',
      reason: expect.stringContaining('not on record'),
    })

    const stricter = join(work, 'stricter')
    mkdirSync(stricter)
    writeFileSync(join(stricter, 'a.cedar'), ALL + ASK + NO_GIT)
    const differs = await cloister(['--json', 'policy', 'replay', '--session', session, '--policy', stricter])
    const changed = JSON.parse(differs.stdout).calls.filter((each: { verdict: string }) => each.verdict === 'differs')
    expect(differs.code).toBe(1)
    expect(changed).toMatchObject([
      { invocation_id: git.id, recorded: { outcome: 'allow' }, replayed: { outcome: 'deny', policies: ['no-git'] } },
    ])
    const shown = await cloister(['policy', 'replay', '--session', session, '--policy', stricter])
    expect(shown.stdout).toMatch(/git\.status .*differs[\s\S]*3 the same, 1 different/)
    expect((await cloister(['policy', 'replay', '--session', session], { CLOISTER_TOKEN: dora })).code).toBe(4)
  })
})

it('with a policy server: what it refuses is refused, and so is everything once it is gone', async () => {
  const seen: { input: { tool: { name: string } } }[] = []
  const opa = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const body = JSON.parse(text)
    seen.push(body)
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ result: body.input.tool.name !== 'git.status' }))
  })
  await new Promise<void>((resolve) => opa.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(opa.address() as AddressInfo).port}/v1/data/cloister/decision`
  const guarded = await ServerProcess.start({ env: { CLOISTER_OPA_URL: url } })
  try {
    const { id } = await guarded.session()
    expect((await guarded.invoke(id, 'fs.list', {})).status).toBe(200)
    expect((await guarded.invoke(id, 'git.status', {})).body.error).toMatchObject({
      code: 'policy_denied',
      details: { rule: 'opa' },
    })
    expect(seen.map(({ input }) => input.tool.name)).toEqual(['fs.list', 'git.status'])
    opa.closeAllConnections()
    await new Promise((resolve) => opa.close(resolve))
    const refused = await guarded.invoke(id, 'fs.list', {})
    expect(refused.body.error).toMatchObject({ code: 'policy_denied', details: { rule: 'opa' } })
    expect(refused.body.error.message).toContain('could not be reached')
  } finally {
    await guarded.destroy()
  }
})

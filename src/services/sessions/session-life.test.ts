import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GitHttpServer } from '../../../test/support/git-http-server.ts'
import { loadConfig } from '../../config.ts'
import { composeServer, type RunningServer } from '../../main.ts'

/**
 * The life of sessions over the whole server, in this process: real store, real host without isolation. What isolation adds is for the
 * conformance suite and for the tests of whole servers.
 */

const PASSWORD = 'correct horse battery staple'
const TOKEN = 'git-server-token-value'

let folder: string
let git: GitHttpServer
let server: RunningServer
let token: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-life-'))
  mkdirSync(join(folder, 'sources/project/deep'), { recursive: true })
  writeFileSync(join(folder, 'sources/project/deep/a.txt'), 'copied\n')
  symlinkSync('deep/a.txt', join(folder, 'sources/project/link'))
  writeFileSync(join(folder, 'sources/project/suid'), 'x')
  chmodSync(join(folder, 'sources/project/suid'), 0o4755)
  execFileSync('mkfifo', [join(folder, 'sources/project/pipe')])
  mkdirSync(join(folder, 'elsewhere'))
  repository('plain', { 'README.md': 'hello\n' })
  repository('inner', { 'README.md': 'for members\n' })
  repository('tracks', { '.cloister/setup.sh': 'echo evil\n' })
  git = await GitHttpServer.start(join(folder, 'git'), { token: TOKEN })
  await start()
})
afterAll(async () => {
  for (const { id } of (await call('GET', '/v1/sessions?limit=200')).body.sessions) await call('DELETE', `/v1/sessions/${id}`)
  await server.stop()
  await git.stop()
  rmSync(folder, { recursive: true })
})

async function start(): Promise<void> {
  const environment = {
    HOME: folder,
    CLOISTER_HOME: join(folder, 'home'),
    PORT: '0',
    LOG_LEVEL: 'error',
    CLOISTER_SANDBOX: 'process',
    CLOISTER_ADMIN_PASSWORD: PASSWORD,
    CLOISTER_SOURCE_ROOTS: join(folder, 'sources'),
    CLOISTER_REPO_HOSTS: git.origin,
    CLOISTER_TURN_MAX_TOKENS: '5000',
  }
  server = await composeServer(loadConfig(environment))
  token = (await call('POST', '/v1/auth/login', { user: 'admin', password: PASSWORD })).body.token
}

function repository(name: string, files: Record<string, string>): void {
  const directory = join(folder, 'git', name)
  execFileSync('git', ['init', '-q', '-b', 'trunk', directory])
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(directory, path, '..'), { recursive: true })
    writeFileSync(join(directory, path), content)
  }
  const run = (...args: string[]) => execFileSync('git', ['-C', directory, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args])
  run('add', '.')
  run('commit', '-qm', 'first')
}

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
type Answer = { status: number; body: any }

async function call(method: string, path: string, body?: unknown, bearer = token): Promise<Answer> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: {
      ...(bearer && { authorization: `Bearer ${bearer}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? null : JSON.parse(text) }
}

async function user(name: string): Promise<string> {
  await call('POST', '/v1/users', { name, password: PASSWORD })
  return (await call('POST', '/v1/auth/login', { user: name, password: PASSWORD }, '')).body.token
}

async function settled(id: string): Promise<Answer['body']> {
  for (;;) {
    const { session } = (await call('GET', `/v1/sessions/${id}`)).body
    if (session.state !== 'initializing' && session.state !== 'busy') return session
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function created(body: Record<string, unknown>): Promise<Answer['body']> {
  const made = await call('POST', '/v1/sessions', body)
  expect(made).toMatchObject({ status: 201 })
  return settled(made.body.session.id)
}

const invoke = (id: string, tool: string, args: object, more: object = {}) =>
  call('POST', `/v1/sessions/${id}/tools/${tool}/invoke`, { args, ...more })
const read = async (id: string, path: string) => (await invoke(id, 'fs.read', { path })).body.invocation.output?.content
const events = async (id: string): Promise<{ type: string; data: Record<string, unknown> }[]> =>
  (await call('GET', `/v1/sessions/${id}/events?limit=1000`)).body.events

describe('what is asked for at creation', () => {
  const refused: [string, Record<string, unknown>, string][] = [
    ['an id that is none', { session_id: 'Not An Id' }, 'session_id'],
    ['a secret that steers processes', { secrets: { LD_PRELOAD: 'x' } }, 'secrets.LD_PRELOAD'],
    ['two sources', { source_repo_path: '/x', repo_url: 'https://github.com/a/b' }, 'repo_url'],
    ['a ref without a repository', { repo_ref: 'main' }, 'repo_url'],
    ['a credential that is not there', { repo_url: 'https://github.com/a/b', repo_auth_secret: 'NONE' }, 'repo_auth_secret'],
    ['a ref that is an option', { repo_url: 'https://github.com/a/b', repo_ref: '--upload-pack=x' }, 'repo_ref'],
    ['a model that nobody serves', { model: 'nobody/x' }, 'nobody'],
    ['a path out of the workspace', { allowed_paths: ['../..'] }, 'allowed_paths'],
    ['a path into the repository of git', { allowed_paths: ['.git'] }, 'allowed_paths'],
    ['the network of the machine', { network: 'host' }, 'network'],
    ['a directory that no root covers', { source_repo_path: '/etc' }, 'source_repo_path'],
    ['a host that is not listed', { repo_url: 'https://example.org/a/b' }, 'CLOISTER_REPO_HOSTS'],
    [
      'a budget in money for a model without a price',
      { model: 'anthropic/x', budgets: { turn: { cost_usd: 1 } } },
      'ANTHROPIC_API_KEY',
    ],
  ]
  it.each(refused)('%s is refused, and named', async (_, body, named) => {
    const { status, body: answer } = await call('POST', '/v1/sessions', body)
    expect(status).toBe(400)
    expect(JSON.stringify(answer.error)).toContain(named)
  })

  const VALUE = 'swordfish/7+"x"'
  const holding: [string, Record<string, unknown>, string][] = [
    ['the name', { name: `my ${VALUE}` }, 'name'],
    ['the name, as it stands in a URL', { name: encodeURI(VALUE) }, 'name'],
    ['a value of the metadata', { metadata: { a: 'x', b: VALUE } }, 'metadata'],
    ['a key of the metadata', { metadata: { [VALUE]: 'x' } }, 'metadata'],
    ['the URL of the repository', { repo_url: `https://user:${encodeURIComponent(VALUE)}@example.org/x` }, 'repo_url'],
    ['the ref', { repo_url: 'https://github.com/a/b', repo_ref: VALUE }, 'repo_ref'],
    ['the source directory', { source_repo_path: `/x/${VALUE}` }, 'source_repo_path'],
    ['a path', { allowed_paths: ['.', VALUE] }, 'allowed_paths'],
    ['a path that is refused anyway', { allowed_paths: [`../../${VALUE}`] }, 'allowed_paths'],
    ['tools', { tools: { deny: [VALUE] } }, 'tools'],
    ['a standing approval', { auto_approve: [VALUE] }, 'auto_approve'],
    ['the model', { model: `scripted/${VALUE}` }, 'model'],
    ['a principal', { secrets: { KEY: 'sword_fish' }, principal: { tenant_id: 'default', actor_id: 'sword_fish' } }, 'principal'],
    ["another secret's name", { secrets: { KEY: 'sword_fish', other_sword_fish: 'x' } }, 'secrets'],
    ['the id', { secrets: { KEY: 'sword_fish' }, session_id: 'sword_fish' }, 'session_id'],
    ['a role', { principal: { tenant_id: 'default', actor_id: 'admin', roles: [VALUE] } }, 'principal'],
    ['a number', { secrets: { KEY: '123456' }, expires_in_seconds: 123_456 }, 'expires_in_seconds'],
  ]
  it.each(holding)("a secret's value in %s is refused: the field is named, the value is not", async (_, body, field) => {
    const sessions = (await call('GET', '/v1/sessions?limit=200')).body.sessions.length
    const { status, body: answer } = await call('POST', '/v1/sessions', { secrets: { KEY: VALUE }, ...body })
    expect([status, answer.error.code]).toEqual([400, 'invalid_argument'])
    expect(answer.error.details.issues).toEqual([{ path: field, reason: expect.stringContaining('secret KEY') }])
    expect(answer.error.message).toContain(`${field}: `)
    for (const value of [VALUE, JSON.stringify(VALUE).slice(1, -1), encodeURI(VALUE), 'sword_fish', '123456'])
      expect(JSON.stringify(answer)).not.toContain(value)
    expect((await call('GET', '/v1/sessions?limit=200')).body.sessions).toHaveLength(sessions)
  })

  it("a secret's value is refused in every field of a change too, in any state", async () => {
    const { id, name, metadata } = await created({ secrets: { KEY: VALUE, CODE: '123456' }, metadata: { team: 'a' } })
    for (const state of ['idle', 'closed']) {
      if (state === 'closed') await call('POST', `/v1/sessions/${id}/close`)
      for (const [fields, field] of [
        [{ name: VALUE }, 'name'],
        [{ metadata: { x: `a ${VALUE}` } }, 'metadata'],
        [{ metadata: { [encodeURIComponent(VALUE)]: '' } }, 'metadata'],
        [{ idle_timeout_seconds: 123_456 }, 'idle_timeout_seconds'],
      ] as const) {
        const { status, body } = await call('PATCH', `/v1/sessions/${id}`, fields)
        expect([status, body.error.code, body.error.details.issues[0].path]).toEqual([400, 'invalid_argument', field])
      }
    }
    expect((await call('GET', `/v1/sessions/${id}`)).body.session).toMatchObject({ name, metadata })
    expect((await events(id)).map(({ type }) => type)).not.toContain('session.updated')
    expect((await call('PATCH', `/v1/sessions/${id}`, { name: 'swordfish' })).body.session.name).toBe('swordfish')
  })

  it('instructions, setup and the first message may hold one: it goes nowhere from there', async () => {
    const { id } = await created({
      secrets: { KEY: VALUE },
      instructions: `use ${VALUE}`,
      setup: `#!/bin/sh\necho '${VALUE}'\n`,
      message: `it is ${VALUE}`,
    })
    expect(await read(id, 'instructions.md')).toBe('use [secret:KEY]')
    expect(await read(id, 'setup.sh')).toContain("echo '[secret:KEY]'")
    expect((await call('GET', `/v1/sessions/${id}/messages`)).body.messages[0].content).toBe('it is [secret:KEY]')
    const told = JSON.stringify([await events(id), (await call('GET', `/v1/sessions/${id}/invocations`)).body])
    expect(told).toContain('[secret:KEY]')
    expect(told).not.toContain(JSON.stringify(VALUE).slice(1, -1))
  })

  it('more isolation than there is is refused, not downgraded', async () => {
    const { status, body } = await call('POST', '/v1/sessions', { isolation_floor: 'namespaces' })
    expect(status).toBe(503)
    expect(body.error).toMatchObject({ code: 'sandbox_unavailable' })
  })

  it('limits of a sandbox are for admins to raise', async () => {
    const alice = await user('alice')
    expect((await call('POST', '/v1/sessions', { limits: { pids: 100_000 } }, alice)).body.error.message).toContain('limits.pids')
    expect((await created({ limits: { pids: 100_000 } })).limits.pids).toBe(100_000)
  })

  it('a budget is never more than the server allows', async () => {
    const session = await created({ budgets: { turn: { tokens: 1_000_000, steps: 3 }, session: { cost_usd: 2 } } })
    expect(session.budgets).toEqual({
      turn: { steps: 3, tokens: 5000, cost_usd: null, seconds: 3600 },
      session: { steps: null, tokens: null, cost_usd: 2, seconds: null },
    })
  })

  it('a taken id is refused, and a user acts as nobody else', async () => {
    const bob = await user('bob')
    await created({ session_id: 'mine' })
    expect(await call('POST', '/v1/sessions', { session_id: 'mine' })).toMatchObject({ status: 409 })
    const principal = { tenant_id: 'default', actor_id: 'admin' }
    expect(await call('POST', '/v1/sessions', { principal }, bob)).toMatchObject({ status: 403 })
    const own = { tenant_id: 'default', actor_id: 'bob', roles: ['platform_admin'] }
    expect((await call('POST', '/v1/sessions', { principal: own }, bob)).status).toBe(403)
  })

  it('a first message that is too long leaves a session that says so', async () => {
    const { status, body } = await call('POST', '/v1/sessions', { message: ' '.repeat(10) })
    expect(status).toBe(201)
    expect(body.warnings).toEqual([expect.stringContaining('the first message was not taken: content: must not be empty')])
  })
})

describe('where its code comes from', () => {
  it('a directory is copied: links as links, no setuid, no special files; its own files lie beside', async () => {
    const { id } = await created({
      source_repo_path: join(folder, 'sources/project'),
      instructions: 'Be kind.',
      setup: '#!/bin/sh\necho "$NAME" > /dev/null; ls -l suid link > listing',
      secrets: { NAME: 'value-of-the-secret' },
    })
    expect(await read(id, 'deep/a.txt')).toBe('copied\n')
    expect(await read(id, '.cloister/instructions.md')).toBe('Be kind.')
    expect(await read(id, 'listing')).toMatch(/^lrwx.* link -> deep\/a\.txt\n-rwxr-xr-x.* suid\n$/)
    expect(
      (await invoke(id, 'fs.list', {})).body.invocation.output.entries.map(({ path }: { path: string }) => path),
    ).not.toContain('pipe')
    const steps = (await call('GET', `/v1/sessions/${id}/invocations`)).body.invocations
    expect(steps.map(({ tool_name, status }: Record<string, string>) => [tool_name, status])).toContainEqual([
      'session.copy_source',
      'succeeded',
    ])
  })

  it('a repository is cloned, by a branch, by a commit, with a credential', async () => {
    const head = execFileSync('git', ['-C', join(folder, 'git/plain'), 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim()
    for (const repo_ref of ['trunk', head]) {
      const { id, state, state_reason } = await created({ repo_url: `${git.origin}/plain`, repo_ref, setup: '#!/bin/sh\ntrue' })
      expect([state, state_reason]).toEqual(['idle', null])
      expect(await read(id, 'README.md')).toBe('hello\n')
    }
    const body = { repo_url: `${git.origin}/private/inner`, secrets: { GIT_TOKEN: TOKEN }, repo_auth_secret: 'GIT_TOKEN' }
    const { id } = await created(body)
    expect(await read(id, 'README.md')).toBe('for members\n')
  })

  it.each([
    ['without the credential', { repo_url: '/private/inner' }, 'the clone exited with 128'],
    ['of a ref that is not there', { repo_url: '/plain', repo_ref: 'nowhere' }, 'nowhere'],
    ['that tracks what is ours', { repo_url: '/tracks', instructions: 'x' }, 'it tracks .cloister'],
  ])('a clone %s ends in an error that says why', async (_, body, why) => {
    const session = await created({ ...body, repo_url: `${git.origin}${body.repo_url}` })
    expect(session.state).toBe('error')
    expect(session.state_reason).toContain(why)
  })
})

describe('from setup to deletion', () => {
  it('setup that fails is an error with the end of its log; restore tries again', async () => {
    const setup = '#!/bin/sh\necho "the token is $API_TOKEN"; test -e /session/data/mended || exit 3'
    const body = { setup: setup.replace('/session/data', join(folder)), secrets: { API_TOKEN: 'value-of-the-secret' } }
    const { id, state, state_reason } = await created(body)
    expect(state).toBe('error')
    expect(state_reason).toContain('setup exited with 3. The end of its log:\nthe token is [secret:API_TOKEN]')
    expect(await invoke(id, 'fs.list', {})).toMatchObject({ status: 409 })
    writeFileSync(join(folder, 'mended'), '')
    expect((await call('POST', `/v1/sessions/${id}/restore`)).status).toBeLessThan(300)
    expect(await settled(id)).toMatchObject({ state: 'idle', state_reason: null })
  })

  it('close keeps the volume, restore brings it back, delete destroys it and keeps the record', async () => {
    const { id } = await created({ session_id: 'whole-life' })
    await invoke(id, 'fs.write', { path: 'kept.txt', content: 'kept' }, { approved: true })
    const [waiting] = [await invoke(id, 'fs.write', { path: 'other.txt', content: 'x' }, { request_approval: true })]
    expect(waiting?.status).toBe(202)
    expect((await call('POST', `/v1/sessions/${id}/close`)).body.session).toMatchObject({ state: 'closed', sandbox: null })
    expect((await call('GET', `/v1/approvals?session=${id}`)).body.approvals[0].status).not.toBe('pending')
    for (const path of ['messages', 'tools/fs.list/invoke'])
      expect(
        await call('POST', `/v1/sessions/${id}/${path}`, path === 'messages' ? { content: 'hi' } : { args: {} }),
      ).toMatchObject({ status: 409 })
    expect(await call('POST', `/v1/sessions/${id}/close`)).toMatchObject({ status: 409 })
    expect((await call('POST', `/v1/sessions/${id}/restore`)).body.session.state).toBe('idle')
    expect(await read(id, 'kept.txt')).toBe('kept')
    expect((await call('DELETE', `/v1/sessions/${id}`)).body).toMatchObject({ closed: true, session: { state: 'deleted' } })
    expect(await call('DELETE', `/v1/sessions/${id}`)).toMatchObject({ status: 404 })
    expect(readdirSync(join(folder, 'home/volumes'))).not.toContain(id)
    const kept = (await call('GET', `/v1/sessions/${id}/events?deleted=true`)).body.events
    expect(kept.at(-1).type).not.toBe('session.created')
    expect(kept.some(({ type }: { type: string }) => type === 'session.deleted')).toBe(true)
  })

  it.each([
    ['the end of its log begins within one', 'printf "%s%1995s\\n" "$API_TOKEN" " " | tr " " x; exit 3'],
    ['its output is cut within one', 'head -c 16777210 /dev/zero | tr "\\0" x; printf %s "$API_TOKEN"; sleep 20'],
  ])('a failed setup tells no piece of a secret when %s', async (_, command) => {
    const body = { setup: `#!/bin/sh\n${command}`, secrets: { API_TOKEN: 'VALUE-OF-THE-SECRET' } }
    const { state, state_reason } = await created(body)
    expect(state).toBe('error')
    const log = (state_reason ?? '').split('The end of its log:\n')[1] as string
    expect(log).toMatch(/x{1900}/)
    expect(log.replace(/^.*\]/, '')).toMatch(/^x+$/)
  })

  it('a session that is closed in the middle of its setup does not come back by itself', async () => {
    const made = await call('POST', '/v1/sessions', { setup: '#!/bin/sh\nsleep 30' })
    const { id } = made.body.session
    while (!(await events(id)).some(({ type }) => type === 'sandbox.started'))
      await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await call('POST', `/v1/sessions/${id}/close`)).body.session.state).toBe('closed')
    expect((await call('GET', `/v1/sessions/${id}`)).body.session).toMatchObject({ state: 'closed', sandbox: null })
  })

  it('a sandbox that dies is noticed, and the next call gets a new one, set up again', async () => {
    const { id } = await created({ setup: `#!/bin/sh\necho once >> ${folder}/setups` })
    process.kill(await hostOf(id), 'SIGKILL')
    await invoke(id, 'fs.list', {})
    await settled(id)
    expect((await invoke(id, 'fs.list', {})).body.invocation.status).toBe('succeeded')
    expect(readFileSync(join(folder, 'setups'), 'utf8')).toBe('once\nonce\n')
    expect((await events(id)).map(({ type }) => type)).toContain('sandbox.lost')
  })

  it('lists are by owner, state and words; what is changed is recorded', async () => {
    const carol = await user('carol')
    const own = (await call('POST', '/v1/sessions', { name: 'carols work' }, carol)).body.session
    const listed = async (query: string, bearer = token) =>
      (await call('GET', `/v1/sessions?limit=200&${query}`, undefined, bearer)).body.sessions.map(
        (session: { id: string }) => session.id,
      )
    expect(await listed('', carol)).toEqual([own.id])
    expect(await listed('owner=carol')).toEqual([own.id])
    expect(await listed('owner=default/carol')).toEqual([own.id])
    expect(await listed('owner=admin', carol)).toEqual([])
    expect(await listed('q=CAROLS')).toEqual([own.id])
    expect(await listed('state=closed&owner=carol')).toEqual([])
    const changed = await call(
      'PATCH',
      `/v1/sessions/${own.id}`,
      { name: 'renamed', expires_in_seconds: 60, metadata: { a: 'b' } },
      carol,
    )
    expect(changed.body.session).toMatchObject({ name: 'renamed', metadata: { a: 'b' }, expires_at: expect.any(String) })
    expect((await call('PATCH', `/v1/sessions/${own.id}`, { expires_in_seconds: null })).body.session.expires_at).toBeNull()
    expect((await events(own.id)).filter(({ type }) => type === 'session.updated')).toHaveLength(2)
  })
})

describe('another server on the same home', () => {
  it('takes over what runs, and sees at once what is gone', async () => {
    const alive = (await created({})).id
    const dead = (await created({})).id
    for (const id of [alive, dead]) await invoke(id, 'fs.write', { path: 'a.txt', content: 'x' }, { approved: true })
    const host = await hostOf(dead)
    const before = await hostOf(alive)
    await server.stop()
    process.kill(host, 'SIGKILL')
    await start()
    expect((await events(dead)).map(({ type }) => type)).toContain('sandbox.lost')
    expect((await invoke(alive, 'fs.list', {})).body.invocation.status).toBe('succeeded')
    expect(await hostOf(alive)).toBe(before)
    expect((await invoke(dead, 'fs.list', {})).body.invocation.status).toBe('succeeded')
    expect((await events(alive)).filter(({ type }) => type === 'sandbox.started')).toHaveLength(1)
  })

  it('is refused while the first one runs', async () => {
    const environment = {
      HOME: folder,
      CLOISTER_HOME: join(folder, 'home'),
      PORT: '0',
      CLOISTER_SANDBOX: 'process',
      LOG_LEVEL: 'error',
    }
    await expect(composeServer(loadConfig(environment))).rejects.toThrow(/another Cloister server uses/)
  })
})

/** The pid of a session's host, as its record says. Starts it if need be. */
async function hostOf(id: string): Promise<number> {
  await invoke(id, 'fs.list', {})
  const database = new DatabaseSync(join(folder, 'home/cloister.db'), { readOnly: true })
  const row = database.prepare('select sandbox from sessions where id = ?').get(id) as { sandbox: string }
  database.close()
  return JSON.parse(row.sandbox).detail.pid
}

it('a call that waits for a person longer than the idle time holds no sandbox, and runs in a new one when it is approved', async () => {
  const { id } = await created({ idle_timeout_seconds: 1 })
  await invoke(id, 'fs.write', { path: 'a.txt', content: 'before\n' }, { approved: true })
  const asked = await invoke(id, 'fs.write', { path: 'a.txt', content: 'after\n' }, { request_approval: true })
  expect(asked.status).toBe(202)
  let session = await settled(id)
  expect(session.sandbox).not.toBeNull()
  while (session.sandbox !== null) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    session = await settled(id)
  }
  expect(session.state).toBe('idle')
  const { approval_id } = asked.body.invocation.approval
  expect((await call('POST', `/v1/approvals/${approval_id}/approve`, {})).body.approval.status).toBe('used')
  const record = async () => (await call('GET', `/v1/invocations/${asked.body.invocation.id}`)).body.invocation
  while ((await record()).status === 'running') await new Promise((resolve) => setTimeout(resolve, 50))
  expect(await record()).toMatchObject({ status: 'succeeded' })
  expect((await invoke(id, 'fs.read', { path: 'a.txt' })).body.invocation.output.content).toBe('after\n')
})

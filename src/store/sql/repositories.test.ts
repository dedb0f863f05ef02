import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { NOTHING_SPENT } from '../../domain/budget.ts'
import { newId } from '../../domain/ids.ts'
import type { Session } from '../../domain/session.ts'
import type { Page, PageRequest, Store } from '../store.ts'
import { openSqliteStore } from './open-sqlite-store.ts'
import { approval, at, invocation, OWNER, scratch, session } from './records.fixture.ts'

let store: Store

beforeAll(async () => {
  const cleanups: (() => void)[] = []
  const folder = scratch((cleanup) => cleanups.push(cleanup))
  store = await openSqliteStore(join(folder, 'store.db'))
  return async () => {
    await store.close()
    for (const cleanup of cleanups) cleanup()
  }
})

async function stored(fields: Partial<Session> = {}): Promise<Session> {
  const made = session(fields)
  await store.sessions.insert(made)
  return made
}

async function walk<T>(
  list: (page: PageRequest) => Promise<Page<T>>,
  limit: number,
  between?: () => Promise<void>,
): Promise<T[]> {
  const seen: T[] = []
  for (let cursor: string | null = null; ; ) {
    const page = await list({ limit, cursor })
    expect(page.items.length).toBeLessThanOrEqual(limit)
    seen.push(...page.items)
    if (page.next_cursor === null) return seen
    cursor = page.next_cursor
    await between?.()
  }
}

const FULL: Partial<Session> = {
  name: 'näme "quoted" \' ; drop table sessions; --',
  state: 'busy',
  state_reason: 'because',
  owner: { tenant_id: 'acme', actor_id: 'bob' },
  principal: { tenant_id: 'acme', actor_id: 'bob', roles: ['developer', 'devops'] },
  allowed_paths: ['src', 'docs'],
  metadata: { ticket: '42', __proto__x: 'y' },
  model: 'anthropic/x',
  source_repo_path: '/srv/source',
  repo_url: 'https://github.com/a/b',
  repo_ref: 'main',
  repo_auth_secret: 'TOKEN',
  has_setup: true,
  has_instructions: true,
  provisioned: false,
  tools: { allow: ['fs.*'], deny: ['fs.delete'] },
  auto_approve: [{ pattern: 'fs.write', by: { ...OWNER, admin: false } }],
  network: 'host',
  isolation_floor: 'namespaces',
  limits: { memory_mb: 1, cpus: 0.5, pids: 3 },
  sandbox: {
    kind: 'bubblewrap',
    generation: 4,
    phase: 'running',
    detail: { pid: 12, cgroup: '/x', none: null },
    isolation: null,
    started_at: at(9),
  },
  sandbox_uid: 200_001,
  last_generation: 4,
  secret_names: ['TOKEN'],
  parent_session_id: 'ses_parent',
  usage: { input_tokens: 2 ** 40, output_tokens: 2, turns: 3, invocations: 4, steps: 5, cost_usd: 0.125, seconds: 1.5 },
  idle_timeout_seconds: 77,
  created_at: at(1),
  last_activity_at: at(2),
  expires_at: at(3),
  closed_at: at(4),
}

describe('sessions', () => {
  test('every field comes back, from insert and from update', async () => {
    const made = await stored({ ...FULL, sandbox_uid: 200_001 })
    expect(await store.sessions.get(made.id)).toEqual(made)
    const other = await stored()
    const changed = { ...FULL, sandbox_uid: 200_002 }
    await store.sessions.update(other.id, changed)
    expect(await store.sessions.get(other.id)).toEqual({ ...other, ...changed })
    await store.sessions.update(other.id, { sandbox: null, sandbox_uid: null, has_setup: false, state_reason: null })
    expect(await store.sessions.get(other.id)).toMatchObject({
      sandbox: null,
      sandbox_uid: null,
      has_setup: false,
      state_reason: null,
    })
  })

  test('an id is taken for ever, also by a deleted session', async () => {
    const gone = await stored({ state: 'deleted' })
    await expect(store.sessions.insert(session({ id: gone.id }))).rejects.toMatchObject({ code: 'conflict' })
    expect((await store.sessions.get(gone.id))?.state).toBe('deleted')
  })

  test.each([[{ name: 'x' }], [{}]])('update of a session that is not there: not_found (%o)', async (fields) => {
    await expect(store.sessions.update('ses_none', fields)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('two sessions never share a sandbox uid, until one is deleted', async () => {
    const first = await stored({ sandbox_uid: 300_000 })
    await expect(store.sessions.insert(session({ sandbox_uid: 300_000 }))).rejects.toMatchObject({ code: 'conflict' })
    const second = await stored()
    await expect(store.sessions.update(second.id, { sandbox_uid: 300_000 })).rejects.toMatchObject({ code: 'conflict' })
    expect(await store.sessions.sandboxUids()).toContain(300_000)
    await store.sessions.update(first.id, { state: 'deleted' })
    expect(await store.sessions.sandboxUids()).not.toContain(300_000)
    await store.sessions.update(second.id, { sandbox_uid: 300_000 })
  })

  test('usage adds up, activity never goes back', async () => {
    const made = await stored({ last_activity_at: at(10) })
    await store.sessions.addUsage(made.id, { input_tokens: 5, turns: 1 }, at(20))
    await store.sessions.addUsage(made.id, { input_tokens: 7, output_tokens: 2, invocations: 3 }, at(15))
    expect(await store.sessions.get(made.id)).toMatchObject({
      usage: { input_tokens: 12, output_tokens: 2, turns: 1, invocations: 3 },
      last_activity_at: at(20),
    })
    await expect(store.sessions.addUsage('ses_none', {}, at(0))).rejects.toMatchObject({ code: 'not_found' })
  })

  describe('list', () => {
    const tenant = 'listing'
    const ids: Record<string, string> = {}
    beforeAll(async () => {
      const rows: [string, Partial<Session>][] = [
        ['idle', { owner: { tenant_id: tenant, actor_id: 'ann' }, name: '100% done_ok', created_at: at(1) }],
        ['closed', { owner: { tenant_id: tenant, actor_id: 'ann' }, name: 'Back\\slash', state: 'closed', created_at: at(2) }],
        ['deleted', { owner: { tenant_id: tenant, actor_id: 'ann' }, state: 'deleted', created_at: at(3) }],
        ['ben', { owner: { tenant_id: tenant, actor_id: 'ben' }, name: 'other', created_at: at(4) }],
        ['elsewhere', { owner: { tenant_id: 'listing2', actor_id: 'ben' }, created_at: at(5) }],
      ]
      for (const [key, fields] of rows) ids[key] = (await stored(fields)).id
    })

    const ann = { owner: { tenant_id: tenant, actor_id: 'ann' } }
    test.each([
      [ann, ['closed', 'idle']],
      [{ ...ann, include_deleted: true }, ['deleted', 'closed', 'idle']],
      [{ ...ann, state: 'closed' as const }, ['closed']],
      [{ owner_actor_id: 'ben' }, ['elsewhere', 'ben']],
      [{ ...ann, q: '100%' }, ['idle']],
      [{ ...ann, q: '%' }, ['idle']],
      [{ ...ann, q: 'E_O' }, ['idle']],
      [{ ...ann, q: '_' }, ['closed', 'idle']], // of the ids
      [{ ...ann, q: 'BACK\\' }, ['closed']],
      [{ ...ann, q: "' or 1=1 --" }, []],
    ])('%o', async (filter, expected) => {
      const { items } = await store.sessions.list(filter, { limit: 200, cursor: null })
      expect(items.map((item) => item.id)).toEqual(expected.map((key) => ids[key]))
    })
  })

  test('pages show everything once, newest first, while sessions are made', async () => {
    const owner = { tenant_id: 'pages', actor_id: 'ann' }
    const made: string[] = []
    // Several with one time, so that the id decides.
    for (let i = 0; i < 23; i++) made.push((await stored({ owner, created_at: at(Math.floor(i / 4)) })).id)
    const seen = await walk(
      (page) => store.sessions.list({ owner }, page),
      5,
      async () => {
        await stored({ owner, created_at: at(1000) })
      },
    )
    expect(seen.map((item) => item.id).sort()).toEqual(made.sort())
    const keys = seen.map((item) => `${item.created_at} ${item.id}`)
    expect(keys).toEqual([...keys].sort().reverse())
  })

  const bad = ['', 'x', '%%%', Buffer.from('{}').toString('base64url'), Buffer.from('[1,"a"]').toString('base64url')]
  bad.push(Buffer.from('["a","b","c"]').toString('base64url'), Buffer.from('["a", "b"]').toString('base64url'), 'bnVsbA', '\0')
  test.each(bad)('a cursor that no page gave is refused: %j', async (cursor) => {
    await expect(store.sessions.list({}, { limit: 5, cursor })).rejects.toMatchObject({ code: 'invalid_argument' })
    await expect(store.messages.list('x', { limit: 5, cursor })).rejects.toMatchObject({ code: 'invalid_argument' })
    await expect(store.approvals.list({}, { limit: 5, cursor })).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  test.each([0, 201, -1, 1.5, Number.NaN])('a page of %d is refused', async (limit) => {
    await expect(store.sessions.list({}, { limit, cursor: null })).rejects.toMatchObject({ code: 'invalid_argument' })
  })

  test('what the operator looks at', async () => {
    const sandbox = FULL.sandbox as NonNullable<Session['sandbox']>
    const active = await Promise.all([stored({ state: 'initializing' }), stored({ state: 'error', sandbox })])
    const rest = await Promise.all([
      stored({ state: 'closed', sandbox }),
      stored({ state: 'deleted' }),
      stored({ state: 'deleted', sandbox }),
    ])
    const activeIds = (await store.sessions.active()).map((item) => item.id)
    for (const { id } of active) expect(activeIds).toContain(id)
    for (const { id } of rest) expect(activeIds).not.toContain(id)
    const stale = (await store.sessions.withStaleSandbox()).map((item) => item.id)
    expect(stale).toEqual(expect.arrayContaining([active[1].id, rest[0].id, rest[2].id]))
    expect(stale).not.toContain(rest[1].id)
    const counts = await store.sessions.countByState()
    expect(counts.error).toBe(1)
    expect(Object.values(counts).reduce((sum, count) => sum + count)).toBeGreaterThan(10)
  })
})

describe('messages', () => {
  const message = (session_id: string, fields = {}) => ({
    id: newId('msg'),
    session_id,
    role: 'user' as const,
    content: 'hello',
    turn_id: null,
    usage: null,
    created_at: at(0),
    ...fields,
  })

  test('get their place in the conversation, also when sent at once', async () => {
    const { id } = await stored()
    const sent = await Promise.all(Array.from({ length: 20 }, (_, i) => store.messages.insert(message(id, { content: `${i}` }))))
    expect(sent.map((item) => item.seq).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    const all = await store.messages.all(id)
    expect(all.map((item) => item.seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    expect(await walk((page) => store.messages.list(id, page), 7)).toEqual(all)
  })

  test('every field comes back', async () => {
    const { id } = await stored()
    const usage = { input_tokens: 1, output_tokens: 2 }
    const sent = await store.messages.insert(message(id, { role: 'agent', turn_id: 'trn_1', usage, content: 'a\0b "ü"' }))
    expect(await store.messages.all(id)).toEqual([sent])
    expect(sent).toMatchObject({ seq: 1, usage, role: 'agent', content: 'a\0b "ü"' })
  })

  test('wait until a turn takes them', async () => {
    const { id } = await stored()
    const deleted = await stored()
    const one = await store.messages.insert(message(id))
    const two = await store.messages.insert(message(id))
    await store.messages.insert(message(id, { role: 'agent' }))
    await store.messages.insert(message(deleted.id))
    await store.sessions.update(deleted.id, { state: 'deleted' })
    expect((await store.messages.queued(id)).map((item) => item.id)).toEqual([one.id, two.id])
    expect(await store.messages.sessionsWithQueued()).toContain(id)
    expect(await store.messages.sessionsWithQueued()).not.toContain(deleted.id)
    await store.messages.markTaken([one.id, two.id], 'trn_9')
    await store.messages.markTaken([], 'trn_9')
    expect(await store.messages.queued(id)).toEqual([])
    expect(await store.messages.sessionsWithQueued()).not.toContain(id)
    expect((await store.messages.all(id)).map((item) => item.turn_id)).toEqual(['trn_9', 'trn_9', null])
  })

  test('of a session that is not there: not_found', async () => {
    await expect(store.messages.insert(message('ses_none'))).rejects.toMatchObject({ code: 'not_found' })
  })
})

test('turns: one of a session, as it was left', async () => {
  const { id } = await stored()
  const turn = {
    id: newId('trn'),
    session_id: id,
    started_at: at(0),
    steps: 0,
    interrupted: false,
    transcript: [],
    spent: NOTHING_SPENT,
  }
  await store.turns.insert(turn)
  await expect(store.turns.insert({ ...turn, id: newId('trn') })).rejects.toMatchObject({ code: 'conflict' })
  const spent = { steps: 3, tokens: 10, cost_usd: 0.5, seconds: 1.25 }
  const changed = { steps: 3, interrupted: true, spent, transcript: [{ role: 'user', content: 'x' }, [1, null]] }
  await store.turns.update(turn.id, changed)
  expect(await store.turns.ofSession(id)).toEqual({ ...turn, ...changed })
  expect(await store.turns.all()).toContainEqual({ ...turn, ...changed })
  await expect(store.turns.update('trn_none', { steps: 1 })).rejects.toMatchObject({ code: 'not_found' })
  await store.turns.remove(turn.id)
  expect(await store.turns.ofSession(id)).toBeNull()
})

describe('open invocations', () => {
  const call = { args: { path: 'x' }, caller: { kind: 'system' }, generation: null, deadline: null }

  test('are kept until removed; what a correlation id named stays', async () => {
    const { id } = await stored()
    const record = invocation(id, { status: 'running', correlation_id: 'c1', args_digest: 'a'.repeat(64) })
    await store.openInvocations.insert({ record, call })
    expect(await store.openInvocations.get(record.id)).toEqual({ record, call })
    const again = { record: invocation(id, { correlation_id: 'c1' }), call }
    await expect(store.openInvocations.insert(again)).rejects.toMatchObject({ code: 'conflict' })
    expect(await store.openInvocations.get(again.record.id)).toBeNull()
    const waiting = { ...record, status: 'pending_approval' as const }
    await store.openInvocations.update(record.id, { record: waiting, call: { ...call, generation: 2, deadline: at(5) } })
    await store.openInvocations.update(record.id, {})
    expect(await store.openInvocations.ofSession(id)).toEqual([
      { record: waiting, call: { ...call, generation: 2, deadline: at(5) } },
    ])
    expect((await store.openInvocations.all()).map((open) => open.record.id)).toContain(record.id)
    await store.openInvocations.remove(record.id)
    expect(await store.openInvocations.get(record.id)).toBeNull()
    await expect(store.openInvocations.update(record.id, { call })).rejects.toMatchObject({ code: 'not_found' })
    const named = { invocation_id: record.id, args_digest: 'a'.repeat(64) }
    expect(await store.openInvocations.byCorrelation(id, 'c1')).toEqual(named)
    await expect(store.openInvocations.insert(again)).rejects.toMatchObject({ code: 'conflict' })
    await store.openInvocations.forgetCorrelation(id, 'c1')
    await store.openInvocations.insert(again)
  })

  test("a correlation id is one session's own", async () => {
    const [one, two] = [await stored(), await stored()]
    for (const { id } of [one, two])
      await store.openInvocations.insert({ record: invocation(id, { correlation_id: 'same' }), call })
    expect(await store.openInvocations.byCorrelation('ses_none', 'same')).toBeNull()
  })
})

describe('approvals', () => {
  test('every field comes back, and only one decision counts', async () => {
    const { id } = await stored()
    const made = approval(id, { state_digest: 'f'.repeat(64), args: { a: [1, { b: null }] } })
    await store.approvals.insert(made)
    expect(await store.approvals.get(made.id)).toEqual(made)
    expect(await store.approvals.ofInvocation(made.invocation_id)).toEqual(made)
    const decisions = await Promise.all(
      (['approved', 'denied', 'expired'] as const).map((status) =>
        store.approvals.decide(made.id, 'pending', { status, decided_by: status, reason: 'r', decided_at: at(3) }),
      ),
    )
    expect(decisions).toEqual([true, false, false])
    expect(await store.approvals.get(made.id)).toEqual({
      ...made,
      status: 'approved',
      decided_by: 'approved',
      reason: 'r',
      decided_at: at(3),
    })
    expect(await store.approvals.decide(made.id, 'approved', { status: 'used' })).toBe(true)
    expect(await store.approvals.decide(made.id, 'approved', { status: 'used' })).toBe(false)
    expect(await store.approvals.get(made.id)).toMatchObject({ status: 'used', decided_by: 'approved' })
  })

  test('are listed by status, session and owner, in pages', async () => {
    const owner = { tenant_id: 'approvers', actor_id: 'ann' }
    const mine = await stored({ owner })
    const theirs = await stored()
    const made: string[] = []
    for (let i = 0; i < 7; i++) {
      const entry = approval(mine.id, { created_at: at(Math.floor(i / 3)), status: i % 2 === 0 ? 'pending' : 'denied' })
      made.push(entry.id)
      await store.approvals.insert(entry)
      await store.approvals.insert(approval(theirs.id))
    }
    const ids = (items: { id: string }[]) => items.map((item) => item.id).sort()
    expect(ids(await walk((page) => store.approvals.list({ owner }, page), 2))).toEqual([...made].sort())
    expect(ids(await walk((page) => store.approvals.list({ session_id: mine.id }, page), 3))).toEqual([...made].sort())
    expect(await walk((page) => store.approvals.list({ owner, status: 'denied' }, page), 2)).toHaveLength(3)
    expect(await walk((page) => store.approvals.list({ owner, session_id: theirs.id }, page), 2)).toEqual([])
    const pending = await store.approvals.pending()
    expect(pending.filter((entry) => entry.session_id === mine.id)).toHaveLength(4)
    expect(pending.every((entry) => entry.status === 'pending')).toBe(true)
  })
})

test('artifacts are found by their invocation and by their session only', async () => {
  const { id } = await stored()
  const artifact = {
    id: newId('art'),
    name: 'a.txt',
    content_type: 'text/plain',
    size_bytes: 2 ** 33,
    sha256: 'f'.repeat(64),
    created_at: at(0),
  }
  await store.artifacts.insert({ ...artifact, invocation_id: 'inv_1', session_id: id })
  expect(await store.artifacts.ofInvocation('inv_1')).toEqual([artifact])
  expect(await walk((page) => store.artifacts.page('inv_1', page), 1)).toEqual([artifact])
  expect(await store.artifacts.get('inv_1', artifact.id)).toEqual({ ...artifact, session_id: id })
  expect(await store.artifacts.get('inv_2', artifact.id)).toBeNull()
  const later = { ...artifact, id: newId('art', Date.now() + 1000), name: 'b.txt' }
  await store.artifacts.insert({ ...later, invocation_id: 'inv_3', session_id: id })
  const other = await stored()
  await store.artifacts.insert({ ...artifact, id: newId('art'), invocation_id: 'inv_4', session_id: other.id })
  expect(await store.artifacts.ofSession(id, 10)).toEqual([later, artifact])
  expect(await store.artifacts.ofSession(id, 1)).toEqual([later])
  expect(await store.artifacts.inSession(id, artifact.id)).toEqual({ ...artifact, invocation_id: 'inv_1' })
  expect(await store.artifacts.bytesOfSession(id)).toBe(artifact.size_bytes + later.size_bytes)
  expect(await store.artifacts.bytesOfSession('none')).toBe(0)
  expect(await store.artifacts.inSession(other.id, artifact.id)).toBeNull()
  await expect(store.artifacts.insert({ ...artifact, invocation_id: 'inv_2', session_id: id })).rejects.toMatchObject({
    code: 'conflict',
  })
})

test('logs keep their order over many lines and calls, and go with the session', async () => {
  const { id } = await stored()
  const other = await stored()
  const call = { args: {}, caller: {}, generation: null, deadline: null }
  const [record, theirs] = [invocation(id), invocation(other.id)]
  const line = (i: number) => ({ at: at(0), channel: 'stdout' as const, message: `line ${i}` })
  await expect(store.logs.append(record.id, [line(0)])).rejects.toMatchObject({ code: 'not_found' })
  for (const open of [record, theirs]) await store.openInvocations.insert({ record: open, call })
  await store.logs.append(record.id, [])
  await Promise.all([
    store.logs.append(
      record.id,
      Array.from({ length: 450 }, (_, i) => line(i)),
    ),
    store.logs.append(
      record.id,
      Array.from({ length: 50 }, (_, i) => line(450 + i)),
    ),
    store.logs.append(theirs.id, [line(1)]),
  ])
  await store.openInvocations.remove(record.id)
  await store.logs.append(record.id, [{ at: at(1), channel: 'cloister', message: 'done' }])
  const lines = await store.logs.list(record.id)
  expect(lines.map((entry) => entry.message)).toEqual([...Array.from({ length: 500 }, (_, i) => `line ${i}`), 'done'])
  expect(await walk((page) => store.logs.page(record.id, page), 100)).toEqual(lines)
  expect((await store.logs.page(record.id, { limit: 1000, cursor: null })).next_cursor).toBeNull()
  for (const page of [
    { limit: 1001, cursor: null },
    { limit: 0, cursor: null },
    { limit: 1, cursor: 'x' },
  ])
    await expect(store.logs.page(record.id, page)).rejects.toMatchObject({ code: 'invalid_argument' })
  await store.logs.deleteSession(id)
  expect(await store.logs.list(record.id)).toEqual([])
  expect(await store.logs.list(theirs.id)).toHaveLength(1)
})

test('users, their roles, and role bindings', async () => {
  const user = { tenant_id: 'acme', name: 'ann', password_hash: 'h', tool_roles: ['developer'], active: true, created_at: at(0) }
  await store.users.insert(user)
  await expect(store.users.insert(user)).rejects.toMatchObject({ code: 'conflict' })
  await store.users.insert({ ...user, tenant_id: 'other' })
  for (const role_name of ['user', 'admin']) await store.roleBindings.put({ principal: 'acme/ann', role_name, created_at: at(0) })
  await store.roleBindings.put({ principal: 'acme/ann', role_name: 'admin', created_at: at(9) })
  const read = { ...user, roles: ['admin', 'user'], last_login_at: null }
  expect(await store.users.get('acme', 'ann')).toEqual(read)
  expect(await store.users.list()).toEqual([
    expect.objectContaining({ tenant_id: 'acme', roles: ['admin', 'user'] }),
    expect.objectContaining({ tenant_id: 'other', roles: [] }),
  ])
  expect((await store.users.list()).some((entry) => 'password_hash' in entry)).toBe(false)
  expect(await walk((page) => store.users.page(page), 1)).toEqual(await store.users.list())
  expect(await walk((page) => store.roleBindings.page(page), 1)).toEqual(await store.roleBindings.list())
  expect(await store.roleBindings.list()).toContainEqual({ principal: 'acme/ann', role_name: 'admin', created_at: at(0) })
  const changed = { tool_roles: [], active: false, password_hash: 'g', last_login_at: at(1), tokens_valid_after: at(2) }
  expect(await store.users.update('acme', 'ann', changed)).toBe(true)
  expect(await store.users.get('acme', 'ann')).toMatchObject({
    tool_roles: [],
    active: false,
    password_hash: 'g',
    last_login_at: at(1),
  })
  expect(await store.users.tokensValidAfter('acme', 'ann')).toBe(at(2))
  expect(await store.users.tokensValidAfter('other', 'ann')).toBeNull()
  expect(await store.users.update('acme', 'nobody', { active: true })).toBe(false)
  expect(await store.roleBindings.delete('acme/ann', 'admin')).toBe(true)
  expect(await store.roleBindings.delete('acme/ann', 'admin')).toBe(false)
  expect(await store.roleBindings.of('acme/ann')).toEqual(['user'])
  expect(await store.users.count()).toBe(2)
  expect(await store.users.delete('acme', 'ann')).toBe(true)
  expect(await store.users.delete('acme', 'ann')).toBe(false)
  expect(await store.users.count()).toBe(1)
})

test("API tokens are found by hash, and are one owner's", async () => {
  const { id } = await stored()
  const token = {
    id: newId('tok'),
    name: 'ci',
    prefix: 'clst_ab',
    owner: OWNER,
    created_at: at(0),
    expires_at: at(9),
    last_used_at: null,
  }
  const agent = { ...token, id: newId('tok'), session_id: id, hash: '2'.repeat(64) }
  await store.apiTokens.insert({ ...token, hash: '1'.repeat(64), session_id: null })
  await store.apiTokens.insert(agent)
  await expect(store.apiTokens.insert({ ...agent, id: newId('tok') })).rejects.toMatchObject({ code: 'conflict' })
  expect(await store.apiTokens.byHash('1'.repeat(64))).toEqual({ ...token, session_id: null })
  expect(await store.apiTokens.byHash('2'.repeat(64))).toMatchObject({ id: agent.id, session_id: id })
  expect(await store.apiTokens.listOf(OWNER)).toEqual([token])
  expect(await walk((page) => store.apiTokens.pageOf(OWNER, page), 1)).toEqual([token])
  await store.apiTokens.touch(token.id, at(3))
  expect((await store.apiTokens.byHash('1'.repeat(64)))?.last_used_at).toBe(at(3))
  expect(await store.apiTokens.delete(token.id, { ...OWNER, actor_id: 'eve' })).toBe(false)
  expect(await store.apiTokens.delete(token.id, OWNER)).toBe(true)
  await store.apiTokens.deleteExpired(id, at(8))
  expect(await store.apiTokens.byHash(agent.hash)).not.toBeNull()
  await store.apiTokens.deleteExpired(id, at(10))
  expect(await store.apiTokens.byHash(agent.hash)).toBeNull()
  for (const forget of [() => store.apiTokens.deleteOfSession(id), () => store.apiTokens.deleteOfOwner(OWNER)]) {
    await store.apiTokens.insert(agent)
    await forget()
    expect(await store.apiTokens.byHash(agent.hash)).toBeNull()
  }
})

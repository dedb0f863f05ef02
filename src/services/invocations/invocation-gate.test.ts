import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { admin, agentOf, alice, FIRST_PAGE, Gate, mallory, SECRET } from '../../../test/support/gate.ts'
import { CloisterError } from '../../domain/errors.ts'
import { newId } from '../../domain/ids.ts'
import { InvocationRefused } from '../../domain/invocation.ts'
import type { Caller } from '../../domain/principal.ts'
import type { Session } from '../../domain/session.ts'
import { isOpen } from './invocation-record.ts'

let gate: Gate
beforeAll(async () => {
  gate = await Gate.open()
})
afterAll(async () => await gate?.close())

describe('the order of the gate', () => {
  /** Each call has a fault for its own step and for every later one: the earliest is what is told. */
  const everything = { path: '../outside', content: 7, surprise: true }
  const cases: {
    step: string
    session?: Partial<Session>
    caller?: Caller
    tool?: string
    args?: unknown
    code: string
    http: number
    record: string | null
  }[] = [
    {
      step: 'somebody else',
      session: { state: 'closed' },
      caller: mallory,
      tool: 'no.tool',
      args: everything,
      code: 'not_found',
      http: 404,
      record: null,
    },
    { step: "another session's agent", caller: agentOf('other'), tool: 'no.tool', code: 'not_found', http: 404, record: null },
    { step: 'a deleted session', session: { state: 'deleted' }, tool: 'no.tool', code: 'not_found', http: 404, record: null },
    {
      step: 'a closed session',
      session: { state: 'closed' },
      tool: 'no.tool',
      args: everything,
      code: 'session_closed',
      http: 409,
      record: null,
    },
    {
      step: 'a session that initializes',
      session: { state: 'initializing' },
      tool: 'no.tool',
      code: 'conflict',
      http: 409,
      record: null,
    },
    { step: 'a session in error', session: { state: 'error' }, tool: 'no.tool', code: 'conflict', http: 409, record: null },
    { step: 'an unknown tool', tool: 'no.tool', args: everything, code: 'not_found', http: 404, record: null },
    {
      step: 'a tool that the session denies',
      session: { tools: { allow: ['*'], deny: ['fs.*'] } },
      tool: 'fs.write',
      args: everything,
      code: 'not_found',
      http: 404,
      record: null,
    },
    { step: 'a tool of high risk', tool: 'test.dangerous', args: everything, code: 'not_found', http: 404, record: null },
    { step: 'a session step', tool: 'session.setup', code: 'not_found', http: 404, record: null },
    { step: 'args that do not fit', tool: 'fs.write', args: everything, code: 'invalid_argument', http: 400, record: 'failed' },
    { step: 'args that are no object', tool: 'fs.write', args: 'path', code: 'invalid_argument', http: 400, record: 'failed' },
    {
      step: 'args with a secret',
      tool: 'fs.write',
      args: { path: '../x', content: `my ${SECRET}` },
      code: 'invalid_argument',
      http: 400,
      record: 'failed',
    },
    {
      step: 'args with a placeholder',
      tool: 'fs.write',
      args: { path: 'x', content: '[secret:TOKEN]' },
      code: 'invalid_argument',
      http: 400,
      record: 'failed',
    },
    {
      step: 'a denial',
      tool: 'fs.write',
      args: { path: '../outside', content: 'x' },
      code: 'policy_denied',
      http: 403,
      record: 'denied',
    },
    {
      step: 'a denial in .git',
      tool: 'fs.write',
      args: { path: '.git/config', content: 'x' },
      code: 'policy_denied',
      http: 403,
      record: 'denied',
    },
    {
      step: 'no approval',
      tool: 'fs.write',
      args: { path: 'inside', content: 'x' },
      code: 'approval_required',
      http: 428,
      record: 'denied',
    },
    {
      step: 'no approval for these args',
      tool: 'test.overwrite',
      args: { overwrite: true },
      code: 'approval_required',
      http: 428,
      record: 'denied',
    },
    { step: 'a denial that only host sees', tool: 'test.link', code: 'policy_denied', http: 403, record: 'denied' },
    { step: 'a fault of ours', tool: 'test.fault', code: 'internal', http: 500, record: 'failed' },
    { step: 'an output that does not fit', tool: 'test.misfit', code: 'internal', http: 500, record: 'failed' },
  ]

  it.each(cases)('$step: $code', async ({ session: fields, caller, tool = 'fs.list', args, code, http, record }) => {
    const session = await gate.session(fields)
    const error = await gate.invoke(session, tool, args, caller ? { caller } : {}).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(CloisterError)
    expect(error).toMatchObject({ code, status: http })
    expect((error as Error).message).not.toContain('boom')
    expect(error instanceof InvocationRefused).toBe(record !== null)
    const types = (await gate.events(session)).map(({ type }) => type)
    if (!(error instanceof InvocationRefused)) {
      expect(types).toEqual([])
      return
    }
    expect(error.invocation).toMatchObject({ status: record, error: { code }, session_id: session.id, tool_name: tool })
    expect(error.invocation.completed_at).not.toBeNull()
    expect(await gate.invocations.get(alice, error.invocation.id)).toEqual(error.invocation)
    expect(await gate.store.openInvocations.all()).toEqual([])
    expect(types[0]).toBe('invocation.requested')
    expect(types.at(-1)).toBe(record === 'denied' ? 'invocation.denied' : 'invocation.completed')
  })

  it('counts a refused call before policy: 429 with when to come back', async () => {
    const limited = await Gate.open({ quota: { perMinutePerSession: 1 } })
    try {
      const session = await limited.session()
      await limited.invoke(session, 'policy.check', { tool_name: 'fs.read' })
      const refusal = await limited.refusal(session, 'fs.write', { path: '../x', content: '' })
      expect(refusal).toMatchObject({ code: 'rate_limited', status: 429, invocation: { status: 'denied', decision: null } })
      expect(refusal.details['retry_after_seconds']).toBeGreaterThan(0)
    } finally {
      await limited.close()
    }
  })

  it('says what is wrong with args before it says that there were too many calls; either counts, and is kept short', async () => {
    const limited = await Gate.open({ quota: { perMinutePerSession: 4 } })
    try {
      const session = await limited.session()
      const long = 'x'.repeat(100_000)
      const codes: [string, boolean][] = []
      for (let n = 0; n < 10; n++) {
        const args = n % 2 === 0 ? { path: 1, more: { [long]: long } } : { path: 'a.txt', content: long }
        const refusal = await limited.invoke(session, 'fs.write', args).catch((error: unknown) => error)
        const { code } = refusal as CloisterError
        const invocation = refusal instanceof InvocationRefused ? refusal.invocation : null
        codes.push([code, invocation !== null])
        // What policy decided on is on record whole.
        if (invocation?.decision === null)
          expect(JSON.stringify(await limited.invocations.get(alice, invocation.id)).length).toBeLessThan(5000)
      }
      // Four have room, as many are refused and on record, and then nothing is.
      expect(codes).toEqual([
        ...['invalid_argument', 'approval_required', 'invalid_argument', 'approval_required'].map((code) => [code, true]),
        ...['invalid_argument', 'rate_limited', 'invalid_argument', 'rate_limited'].map((code) => [code, true]),
        ...['rate_limited', 'rate_limited'].map((code) => [code, false]),
      ])
      expect(await limited.events(session)).toHaveLength(8 * 2)
    } finally {
      await limited.close()
    }
  })

  it('lets only so many run at once, and forgets those that ended', async () => {
    const limited = await Gate.open({ quota: { concurrentPerSession: 1 } })
    try {
      const session = await limited.session()
      const first = limited.invoke(session, 'test.slow')
      await until(async () =>
        (await limited.store.openInvocations.ofSession(session.id)).some(({ call }) => call.generation !== null),
      )
      expect(await limited.refusal(session, 'policy.check', { tool_name: 'x' })).toMatchObject({ code: 'rate_limited' })
      writeFileSync(limited.path(session, 'go'), '')
      expect((await first).status).toBe('succeeded')
      expect((await limited.invoke(session, 'policy.check', { tool_name: 'x' })).status).toBe('succeeded')
    } finally {
      await limited.close()
    }
  })

  it('says where args do not fit', async () => {
    const session = await gate.session()
    const { details } = await gate.refusal(session, 'fs.read', { path: 1, max_bytes: 0, more: true })
    expect((details['issues'] as { path: string }[]).map(({ path }) => path).sort()).toEqual([
      'args',
      'args.max_bytes',
      'args.path',
    ])
  })

  it('refuses args nested without end', async () => {
    const session = await gate.session()
    let deep: unknown = 'x'
    for (let i = 0; i < 100_000; i++) deep = [deep]
    expect(await gate.refusal(session, 'policy.check', { tool_name: 'x', args: { deep } })).toMatchObject({
      code: 'invalid_argument',
      invocation: { args: {} },
    })
  })

  it('has 503 when no sandbox starts, with nothing half done', async () => {
    const session = await gate.session()
    gate.sandboxes.broken = 'no room'
    try {
      const refusal = await gate.refusal(session, 'fs.list', {})
      expect(refusal).toMatchObject({
        code: 'sandbox_unavailable',
        status: 503,
        invocation: { status: 'failed', error: { retryable: true } },
      })
    } finally {
      gate.sandboxes.broken = null
    }
  })

  it('starts no sandbox for a tool that needs none', async () => {
    const session = await gate.session()
    const before = gate.sandboxes.starts
    expect((await gate.invoke(session, 'policy.check', { tool_name: 'fs.read', args: { path: 'x' } })).output).toMatchObject({
      allowed: true,
    })
    expect(gate.sandboxes.starts).toBe(before)
    expect(gate.sandboxes.current(session.id)).toBeNull()
  })
})

it('a session that closes while the call comes in gets no call any more', async () => {
  const session = await gate.session()
  const closing = await Gate.open({
    home: gate.home,
    sandboxes: Object.assign(Object.create(gate.sandboxes), {
      redactor: async (id: string) => {
        // What the gate read of the session is out of date from here on.
        await gate.store.sessions.update(id, { state: 'closed' })
        return gate.sandboxes.redactor(id)
      },
    }),
  })
  await expect(closing.invoke(session, 'test.append')).rejects.toMatchObject({ code: 'session_closed' })
  await closing.store.close()
  expect(await gate.store.openInvocations.ofSession(session.id)).toEqual([])
  expect(await gate.events(session)).toEqual([])
})

it('what begins is activity, and events repeat long arguments shortened', async () => {
  const session = await gate.session({ last_activity_at: '2020-01-01T00:00:00.000Z' })
  const { id } = await gate.invoke(session, 'test.approved', { text: 'x'.repeat(5000) }, { request_approval: true })
  expect(Date.parse((await gate.store.sessions.get(session.id))?.last_activity_at ?? '')).toBeGreaterThan(
    Date.parse('2025-01-01'),
  )
  const [requested] = await gate.events(session)
  expect(requested).toMatchObject({ data: { args: { text: expect.stringMatching(/^x{500}\.\.\. \(5000 characters\)$/) } } })
  expect((await gate.invocations.get(alice, id)).args).toEqual({ text: 'x'.repeat(5000) })
})

describe('consent', () => {
  it('counts `approved` from people who may approve, with their name', async () => {
    const session = await gate.session()
    const args = { path: 'a.txt', content: 'hola' }
    expect((await gate.invoke(session, 'fs.write', args, { approved: true })).approval).toEqual({
      kind: 'given',
      by: 'default/alice',
      approval_id: null,
    })
    expect((await gate.invoke(session, 'fs.write', args, { approved: true, caller: admin })).approval?.by).toBe('default/root')
    expect(readFileSync(gate.path(session, 'a.txt'), 'utf8')).toBe('hola')
  })

  it.each(['agent', 'mcp'] as const)('does not count `approved` from an %s credential', async (kind) => {
    const session = await gate.session()
    const refusal = await gate.refusal(
      session,
      'fs.write',
      { path: 'a.txt', content: 'x' },
      { approved: true, caller: agentOf(session.id, kind) },
    )
    expect(refusal).toMatchObject({
      code: 'approval_required',
      invocation: { status: 'denied', approval: null, actor: { kind } },
    })
    expect(gate.sandboxes.current(session.id)).toBeNull()
  })

  it('does not let approval reach what policy refuses', async () => {
    const session = await gate.session()
    expect(await gate.refusal(session, 'fs.write', { path: '../a.txt', content: 'x' }, { approved: true })).toMatchObject({
      code: 'policy_denied',
    })
  })

  it('records each use of a standing approval, also for agents', async () => {
    const by = { tenant_id: 'default', actor_id: 'alice', admin: false }
    const session = await gate.session({ auto_approve: [{ pattern: 'fs.*', by }] })
    const record = await gate.invoke(session, 'fs.write', { path: 'a.txt', content: 'x' }, { caller: agentOf(session.id) })
    expect(record).toMatchObject({
      status: 'succeeded',
      approval: { kind: 'standing', by: 'default/alice' },
      decision: { rule: 'auto_approve' },
    })
  })
})

describe('what ran', () => {
  it('leaves record, events, logs, artifacts, deltas', async () => {
    const session = await gate.session()
    const deltas = gate.deltas(session)
    const record = await gate.invoke(session, 'test.append', { text: 'one' }, { turn_id: 'trn_1' })
    expect(record).toMatchObject({
      status: 'succeeded',
      exit_code: 0,
      output: { exit_code: 0, stdout: 'ran one\n' },
      decision: { rule: 'allowed' },
      actor: { kind: 'user', id: 'default/alice' },
      turn_id: 'trn_1',
      trace_name: 'workspace.tools',
      span_name: 'test.append',
      truncated: false,
      error: null,
    })
    expect(record.trace_id).toMatch(/^[0-9a-f]{32}$/)
    expect((await gate.invocations.logs(alice, record.id, FIRST_PAGE)).items).toMatchObject([
      { channel: 'cloister', message: 'about to run /bin/sh one' },
      { channel: 'stdout', message: 'ran one' },
    ])
    expect((await gate.events(session)).map(({ type }) => type)).toEqual([
      'invocation.requested',
      'invocation.started',
      'artifact.stored',
      'invocation.completed',
    ])
    expect(deltas.map(({ data }) => data['text'])).toEqual(['about to run /bin/sh one\n', 'ran one\n'])
    const [artifact] = (await gate.invocations.artifacts(alice, record.id, FIRST_PAGE)).items
    expect(artifact).toMatchObject({ name: 'out.txt', content_type: 'text/plain', size_bytes: 8 })
    const { open } = await gate.invocations.artifact(alice, record.id, artifact?.id ?? '')
    expect(await text(await open())).toBe('ran one\n')
    expect(await text(await open({ start: 4, end: 6 }))).toBe('one')
    expect((await gate.store.sessions.get(session.id))?.usage.invocations).toBe(1)
    expect(await gate.sandboxes.current(session.id)?.sandbox.outcomes(record.id)).toEqual([])
  })

  it('is shown to nobody else', async () => {
    const session = await gate.session()
    const { id } = await gate.invoke(session, 'test.append')
    const [artifact] = (await gate.invocations.artifacts(admin, id, FIRST_PAGE)).items
    for (const [caller, code] of [
      [mallory, 'not_found'],
      [agentOf('other'), 'not_found'],
      [agentOf(session.id), 'permission_denied'],
    ] as const) {
      await expect(gate.invocations.get(caller, id)).rejects.toMatchObject({ code })
      await expect(gate.invocations.logs(caller, id, FIRST_PAGE)).rejects.toMatchObject({ code })
      await expect(gate.invocations.artifacts(caller, id, FIRST_PAGE)).rejects.toMatchObject({ code })
      await expect(gate.invocations.artifact(caller, id, artifact?.id ?? '')).rejects.toMatchObject({ code })
      await expect(gate.invocations.cancel(caller, id)).rejects.toMatchObject({ code })
      await expect(gate.invocations.list(caller, session.id, {}, { limit: 5, cursor: null })).rejects.toMatchObject({ code })
    }
  })

  it('keeps what a tool that failed has to say, as 200', async () => {
    const session = await gate.session()
    expect(await gate.invoke(session, 'test.fails')).toMatchObject({
      status: 'failed',
      exit_code: 1,
      output: { note: '[secret:TOKEN]' },
      error: { code: 'tests_failed', message: 'two tests failed with [secret:TOKEN]', retryable: false },
    })
  })

  it('logs an error that the tool does not declare, and answers with it', async () => {
    const session = await gate.session()
    const before = gate.faults.length
    await gate.invoke(session, 'test.fails')
    await gate.invoke(session, 'fs.read', { path: 'nowhere' })
    expect(gate.faults.slice(before)).toEqual([])
    const { id, error } = await gate.invoke(session, 'test.undeclared')
    expect(error).toMatchObject({ code: 'not_found', message: 'nobody said so' })
    expect(gate.faults.slice(before)).toEqual([
      [
        expect.objectContaining({ invocation_id: id, tool_name: 'test.undeclared', code: 'not_found' }),
        'a tool ended with an error that it does not declare',
      ],
    ])
  })

  it('cuts the output, keeps it whole, and what is left fits the schema', async () => {
    const session = await gate.session()
    const record = await gate.invoke(session, 'test.loud')
    expect(record.truncated).toBe(true)
    expect(Buffer.byteLength(JSON.stringify(record.output))).toBeLessThanOrEqual(4096)
    const { open } = await gate.invocations.artifact(alice, record.id, record.output_ref ?? '')
    const whole = JSON.parse(await text(await open())) as { stdout: string }
    expect(whole.stdout).toContain('line 399 of text')
    expect(whole.stdout.startsWith((record.output as { stdout: string }).stdout)).toBe(true)
  })

  it('kills a command that writes too much, and keeps its long log apart', async () => {
    const session = await gate.session()
    const record = await gate.invoke(session, 'test.shout')
    expect(record).toMatchObject({ status: 'failed', error: { code: 'output_too_large' } })
    const lines = (await gate.invocations.logs(alice, record.id, FIRST_PAGE)).items
    expect(lines.reduce((sum, { message }) => sum + message.length, 0)).toBeLessThanOrEqual(1024 * 1024)
    const { artifact, open } = await gate.invocations.artifact(alice, record.id, record.logs_ref ?? '')
    expect(artifact).toMatchObject({ name: 'log.txt' })
    expect((await text(await open())).length).toBe(artifact.size_bytes)
    expect(artifact.size_bytes).toBeGreaterThan(2 * 1024 * 1024)
  })

  it('ends at its deadline with 124, and nothing runs on', async () => {
    const session = await gate.session()
    const record = await gate.invoke(session, 'test.late')
    expect(record).toMatchObject({ status: 'failed', exit_code: 124, error: { code: 'timeout' } })
    expect((record.output as { stdout: string }).stdout).toBe('begun\n')
  })

  it('tries once more what changes nothing, under another name', async () => {
    const session = await gate.session()
    expect(await gate.invoke(session, 'test.late_read')).toMatchObject({
      status: 'failed',
      error: { code: 'timeout', retryable: true },
    })
    expect(readFileSync(gate.path(session, 'tries.txt'), 'utf8')).toBe('x\nx\n')
  })

  it('gets a new sandbox for a guaranteed tool when the old one dies, and tells of it for others', async () => {
    const session = await gate.session()
    await gate.invoke(session, 'fs.list')
    const { generation } = gate.sandboxes.current(session.id) ?? { generation: 0 }
    const { record } = gate.sandboxes.current(session.id) as unknown as {
      record: Parameters<typeof gate.sandboxes.driver.stop>[0]
    }
    await gate.sandboxes.driver.stop(record, session.id)
    expect(await gate.invoke(session, 'fs.list')).toMatchObject({ status: 'succeeded' })
    expect(gate.sandboxes.lostOnes).toContainEqual({ sessionId: session.id, generation })
    const { record: second } = gate.sandboxes.current(session.id) as unknown as { record: typeof record }
    await gate.sandboxes.driver.stop(second, session.id)
    expect(await gate.invoke(session, 'test.append')).toMatchObject({
      status: 'failed',
      error: { code: 'sandbox_lost', retryable: false },
    })
  })

  it('is cancelled: the command is dead, the record says so', async () => {
    const session = await gate.session()
    const running = gate.invoke(session, 'test.slow')
    await until(async () => (await gate.store.openInvocations.ofSession(session.id)).some(({ call }) => call.generation !== null))
    const [open] = await gate.store.openInvocations.ofSession(session.id)
    expect(await gate.invocations.cancel(alice, open?.record.id ?? '')).toMatchObject({
      status: 'failed',
      error: { code: 'cancelled' },
    })
    expect(await running).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
    // A second time changes nothing.
    expect(await gate.invocations.cancel(alice, open?.record.id ?? '')).toMatchObject({ error: { code: 'cancelled' } })
    await gate.invocations.abandonSession(session.id, 'nothing is left')
  })

  it('is listed: open ones first, newest first, in pages without gaps', async () => {
    const session = await gate.session()
    const ids: string[] = []
    for (let i = 0; i < 3; i++) ids.unshift((await gate.invoke(session, 'test.append')).id)
    const pending: string[] = []
    for (let i = 0; i < 2; i++) pending.unshift((await gate.invoke(session, 'test.approved', {}, { request_approval: true })).id)
    for (const limit of [1, 2, 3, 5, 10]) {
      const seen: string[] = []
      let cursor: string | null = null
      do {
        const page = await gate.invocations.list(alice, session.id, {}, { limit, cursor })
        seen.push(...page.items.map(({ id }) => id))
        cursor = page.next_cursor
      } while (cursor !== null)
      expect(seen).toEqual([...pending, ...ids])
    }
    const page = { limit: 10, cursor: null }
    expect((await gate.invocations.list(alice, session.id, { status: 'pending_approval' }, page)).items.every(isOpen)).toBe(true)
    expect((await gate.invocations.list(alice, session.id, { tool: 'test.append' }, page)).items).toHaveLength(3)
    await gate.invocations.abandonSession(session.id, 'over')
    expect((await gate.invocations.list(alice, session.id, { status: 'failed' }, page)).items.map(({ id }) => id)).toEqual(
      pending,
    )
  })

  it('waits no longer than wanted', async () => {
    const session = await gate.session()
    const { id } = await gate.invoke(session, 'test.approved', {}, { request_approval: true })
    await expect(gate.invocations.settled(id, AbortSignal.timeout(20))).rejects.toMatchObject({ name: 'TimeoutError' })
    const settled = gate.invocations.settled(id)
    await gate.invocations.cancel(alice, id)
    expect(await settled).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
    await expect(gate.invocations.settled('inv_unknown')).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('correlation', () => {
  it('runs once for fifty callers at the same time, and once for one that comes later', async () => {
    const session = await gate.session()
    const call = () => gate.invoke(session, 'test.append', { text: 'once' }, { correlation_id: 'c1' })
    const records = await Promise.all(Array.from({ length: 50 }, call))
    expect(new Set(records.map(({ id }) => id)).size).toBe(1)
    expect(await call()).toEqual(records[0])
    expect(readFileSync(gate.path(session, 'ran.txt'), 'utf8')).toBe('once\n')
    expect((await gate.events(session)).filter(({ type }) => type === 'invocation.requested')).toHaveLength(1)
  })

  it('is a conflict with other args, and nothing to another session', async () => {
    const session = await gate.session()
    await gate.invoke(session, 'test.append', { text: 'a' }, { correlation_id: 'c' })
    await expect(gate.invoke(session, 'test.append', { text: 'b' }, { correlation_id: 'c' })).rejects.toMatchObject({
      code: 'conflict',
      status: 409,
    })
    await expect(gate.invoke(session, 'test.slow', { text: 'a' }, { correlation_id: 'c' })).rejects.toMatchObject({
      code: 'conflict',
    })
    const other = await gate.session()
    expect((await gate.invoke(other, 'test.append', { text: 'b' }, { correlation_id: 'c' })).status).toBe('succeeded')
  })

  it('repeats a refusal as it was, and evaluates again what only lacked approval', async () => {
    const session = await gate.session()
    const outside = { path: '../x', content: 'x' }
    const first = await gate.refusal(session, 'fs.write', outside, { correlation_id: 'denied' })
    const again = await gate.refusal(session, 'fs.write', outside, { correlation_id: 'denied', approved: true })
    expect(again.invocation).toEqual(first.invocation)
    expect({ code: again.code, message: again.message, details: again.details }).toEqual({
      code: first.code,
      message: first.message,
      details: first.details,
    })
    const invalid = await gate.refusal(session, 'fs.write', {}, { correlation_id: 'invalid' })
    expect((await gate.refusal(session, 'fs.write', {}, { correlation_id: 'invalid' })).invocation.id).toBe(invalid.invocation.id)

    const inside = { path: 'x', content: 'x' }
    const refused = await gate.refusal(session, 'fs.write', inside, { correlation_id: 'wanting' })
    const given = await gate.invoke(session, 'fs.write', inside, { correlation_id: 'wanting', approved: true })
    expect(given).toMatchObject({ status: 'succeeded', correlation_id: 'wanting' })
    expect(given.id).not.toBe(refused.invocation.id)
    expect((await gate.invoke(session, 'fs.write', inside, { correlation_id: 'wanting', approved: true })).id).toBe(given.id)
  })

  it('answers a pending call with the same pending call', async () => {
    const session = await gate.session()
    const call = () => gate.invoke(session, 'test.approved', {}, { correlation_id: 'p', request_approval: true })
    const [first, second] = [await call(), await call()]
    expect(first).toMatchObject({ status: 'pending_approval' })
    expect(second.id).toBe(first.id)
    expect((await gate.store.approvals.list({ session_id: session.id }, { limit: 10, cursor: null })).items).toHaveLength(1)
  })
})

describe('correlation ids', () => {
  it.each([
    ['nothing', ''],
    ['too long', 'x'.repeat(129)],
    ['other characters', 'a b'],
    ['a line', 'a\nb'],
  ])('%s are refused by the gate itself, whoever passes them on', async (_, correlation_id) => {
    const session = await gate.session()
    await expect(gate.invoke(session, 'fs.list', {}, { correlation_id })).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('correlation_id'),
    })
    expect(await gate.store.openInvocations.byCorrelation(session.id, correlation_id)).toBeNull()
  })

  it("of the calls of a turn are that turn's alone: nobody takes one before the agent does", async () => {
    const session = await gate.session()
    const turn_id = newId('trn')
    const correlation_id = `${turn_id}:1:0`
    const call = { correlation_id, caller: agentOf(session.id) }
    for (const attempt of [
      { correlation_id },
      { ...call, caller: agentOf(session.id, 'mcp') },
      call,
      { ...call, turn_id: newId('trn') },
    ])
      await expect(gate.invoke(session, 'fs.list', { path: '..' }, attempt)).rejects.toMatchObject({ code: 'invalid_argument' })
    const record = await gate.invoke(session, 'fs.list', {}, { ...call, turn_id })
    expect(record).toMatchObject({ status: 'succeeded', correlation_id, turn_id })
    // What only looks a little like it is anybody's.
    for (const free of [turn_id, `${turn_id}:1`, `x${correlation_id}`, `${correlation_id}:0`])
      expect((await gate.invoke(session, 'fs.list', {}, { correlation_id: free })).status).toBe('succeeded')
  })
})

describe('secrets', () => {
  it('are nowhere: not in answers, events, deltas, logs, artifacts, nor in any file outside of the volume', async () => {
    const session = await gate.session()
    const deltas = gate.deltas(session)
    const encoded = Buffer.from(SECRET).toString('base64')
    const leak = await gate.invoke(session, 'test.leak', { text: 'x' })
    expect((leak.output as { stdout: string }).stdout).toContain('[secret:TOKEN]')
    const refusals = [
      await gate.refusal(session, 'fs.write', { path: 'x', content: `a ${SECRET}` }, { approved: true }),
      await gate.refusal(session, 'fs.write', { path: SECRET, content: 'x' }, { request_approval: true }),
      await gate.refusal(
        session,
        'fs.write',
        { path: 'x', content: encoded, encoding: 'base64' },
        { approved: true, correlation_id: 'enc' },
      ),
      await gate.refusal(session, 'fs.write', { [SECRET]: 'x' }),
    ]
    const named = Buffer.from(SECRET).toString('base64url')
    await expect(gate.invoke(session, 'fs.list', {}, { correlation_id: named })).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('secret'),
    })
    // What the sandbox holds comes out redacted.
    writeFileSync(gate.path(session, 'planted.txt'), `key=${SECRET}\n`)
    const read = await gate.invoke(session, 'fs.read', { path: 'planted.txt' })
    expect(read.output).toMatchObject({ content: 'key=[secret:TOKEN]\n' })
    const found = await gate.invoke(session, 'fs.search', { pattern: 'key=' })
    const seen = JSON.stringify([
      leak,
      refusals.map(({ message, details, invocation }) => [message, details, invocation]),
      read,
      found,
      deltas,
      await gate.events(session),
    ])
    for (const trace of [SECRET, encoded, encodeURIComponent(SECRET)]) {
      expect(seen).not.toContain(trace)
      expect(gate.bytesOnDisk()).not.toContain(trace)
    }
    expect(gate.bytesOnDisk()).toContain('[secret:TOKEN]')
  })

  it('cannot be guessed from the digest of refused args', async () => {
    const session = await gate.session()
    const [a, b] = await Promise.all([
      gate.refusal(session, 'fs.write', { path: 'x', content: SECRET }),
      gate.refusal(session, 'fs.write', { path: 'x', content: '[secret:TOKEN]' }),
    ])
    expect(a.invocation.args_digest).toBe(b.invocation.args_digest)
  })
})

describe('tools', () => {
  it('lists what the session may use, filtered, to its agent too', async () => {
    const session = await gate.session({ tools: { allow: ['fs.*', 'test.*'], deny: ['fs.write'] } })
    const names = async (filter = {}, caller: Caller = alice) =>
      (await gate.invocations.tools(caller, session.id, filter)).map(({ name }) => name)
    const all = await names()
    expect(all).toEqual([...all].sort())
    expect(all).toContain('fs.read')
    expect(all.filter((name) => ['fs.write', 'git.status', 'test.dangerous'].includes(name))).toEqual([])
    expect(await names({}, agentOf(session.id))).toEqual(all)
    expect(await names({ family: 'fs', side_effects: 'none' })).toEqual(['fs.list', 'fs.read', 'fs.search'])
    expect(await names({ risk: 'high' })).toEqual([])
    await expect(names({}, mallory)).rejects.toMatchObject({ code: 'not_found' })
    await expect(names({}, agentOf('other'))).rejects.toMatchObject({ code: 'not_found' })
  })

  it('policy.check says what the gate would say', async () => {
    const session = await gate.session({ tools: { allow: [], deny: ['git.*'] } })
    const check = async (tool_name: string, args: Record<string, unknown>) =>
      (await gate.invoke(session, 'policy.check', { tool_name, args })).output
    expect(await check('fs.read', { path: 'x' })).toMatchObject({ allowed: true, requires_approval: false })
    expect(await check('fs.write', { path: 'x', content: '' })).toMatchObject({ allowed: true, requires_approval: true })
    expect(await check('fs.write', { path: '/etc/passwd', content: '' })).toMatchObject({
      allowed: false,
      violations: [expect.stringContaining('path_scope')],
    })
    expect(await check('fs.write', { path: 'x' })).toMatchObject({ allowed: false })
    expect(await check('git.status', {})).toMatchObject({ allowed: false })
    expect(await check('no.such', {})).toMatchObject({ allowed: false, reason: expect.stringContaining('no.such') })
    expect(await gate.invocations.check(alice, session.id, 'no.such', {})).toMatchObject({ allowed: false })
  })
})

it('host sees through a link that leads out: 403, and nothing was written', async () => {
  const session = await gate.session()
  symlinkSync('/etc', gate.path(session, 'out'))
  const refusal = await gate.refusal(session, 'fs.write', { path: 'out/cloister-test', content: 'x' }, { approved: true })
  expect(refusal).toMatchObject({ code: 'policy_denied', invocation: { status: 'denied' } })
  expect(() => readFileSync('/etc/cloister-test')).toThrow('ENOENT')
  // Nobody is asked to approve what would be refused anyway.
  expect(
    await gate.refusal(session, 'fs.write', { path: 'out/hostname', content: 'x' }, { request_approval: true }),
  ).toMatchObject({ code: 'policy_denied' })
})

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Buffer))
  return Buffer.concat(chunks).toString()
}

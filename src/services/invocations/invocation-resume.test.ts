import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agentOf, alice, FIRST_PAGE, Gate } from '../../../test/support/gate.ts'
import { defineTool } from '../../catalog/define-tool.ts'
import { makeCatalog } from '../../catalog/load-catalog.ts'
import type { Invocation } from '../../domain/invocation.ts'
import type { Session } from '../../domain/session.ts'
import { SqlInvocationStore } from '../../store/invocation-store/sql/sql-invocation-store.ts'
import type { InvocationStore } from '../../store/store.ts'

const open: Gate[] = []
async function gateOf(...args: Parameters<typeof Gate.open>): Promise<Gate> {
  const gate = await Gate.open(...args)
  open.push(gate)
  return gate
}
async function restart(gate: Gate, options: Parameters<Gate['restarted']>[0] = {}): Promise<Gate> {
  const next = await gate.restarted(options)
  open.push(next)
  return next
}
afterEach(async () => {
  for (const gate of open.splice(0).reverse()) await gate.close()
})

/** A call that waits for a file `go`, when its command has begun. Whoever asked is gone with the server. */
async function underWay(gate: Gate, session: Session): Promise<string> {
  gate.invoke(session, 'test.slow', { text: 'once' }, { caller: agentOf(session.id), correlation_id: 'c' }).catch(() => undefined)
  for (;;) {
    const [row] = await gate.store.openInvocations.ofSession(session.id)
    if (row && (await gate.store.logs.list(row.record.id)).some(({ message }) => message === 'started')) return row.record.id
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Host has the outcome, nobody has asked for it. */
async function ended(gate: Gate, session: Session, id: string): Promise<void> {
  for (;;) {
    const outcomes = await gate.sandboxes.current(session.id)?.sandbox.outcomes(id)
    if (outcomes?.every(({ state }) => state === 'done')) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const go = (gate: Gate, session: Session) => writeFileSync(gate.path(session, 'go'), '')
const ran = (gate: Gate, session: Session) => readFileSync(gate.path(session, 'ran.txt'), 'utf8')

describe('after a restart', () => {
  it.each(['while it runs', 'after it ended'])('the real outcome is recorded, and nothing is done twice (%s)', async (when) => {
    const before = await gateOf()
    const session = await before.session()
    const id = await underWay(before, session)
    // From here on this server records nothing any more.
    await before.invocations.stop()
    if (when === 'after it ended') {
      go(before, session)
      await ended(before, session, id)
    }
    const after = await restart(before)
    await after.invocations.resume()
    go(after, session)
    const record = await after.invocations.settled(id)
    expect(record).toMatchObject({
      status: 'succeeded',
      exit_code: 0,
      output: { stdout: 'started\nfinished\n' },
      actor: { kind: 'agent' },
    })
    expect(ran(after, session)).toBe('once\n')
    // Each line stands in the log once.
    expect((await after.invocations.logs(alice, id, FIRST_PAGE)).items.map(({ message }) => message)).toEqual([
      'about to run /bin/sh once',
      'started',
      'finished',
    ])
    expect(await after.store.openInvocations.all()).toEqual([])
    const types = (await after.events(session)).map(({ type }) => type)
    expect(types).toEqual(['invocation.requested', 'invocation.started', 'artifact.stored', 'invocation.completed'])
    expect(await after.store.events.verify(session.id)).toMatchObject({ valid: true })
    // The caller comes back with the same correlation id, and gets it.
    expect(
      await after.invoke(session, 'test.slow', { text: 'once' }, { caller: agentOf(session.id), correlation_id: 'c' }),
    ).toEqual(record)
    // A second resume finds nothing to do.
    await after.invocations.resume()
    expect(await after.invocations.get(alice, id)).toEqual(record)
  })

  it('a stopped server leaves what runs to the next one, and says so to who waits', async () => {
    const before = await gateOf()
    const session = await before.session()
    const id = await underWay(before, session)
    const waiting = before.invocations.settled(id)
    waiting.catch(() => undefined)
    await before.invocations.stop()
    await expect(waiting).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(before.invoke(session, 'fs.list')).rejects.toMatchObject({ code: 'store_unavailable' })
    expect((await before.store.openInvocations.get(id))?.record.status).toBe('running')
    const after = await restart(before)
    await after.invocations.resume()
    go(after, session)
    expect((await after.invocations.settled(id)).status).toBe('succeeded')
  })

  it('a stopped server starts nothing more, not even what it may repeat', async () => {
    const gate = await gateOf()
    const session = await gate.session()
    gate.invoke(session, 'test.late_read').catch(() => undefined)
    while (!existsSync(gate.path(session, 'tries.txt'))) await new Promise((resolve) => setTimeout(resolve, 10))
    let asked = 0
    gate.sandboxes.acquire = () => {
      asked++
      return Promise.reject(new Error('the server is stopping'))
    }
    await gate.invocations.stop()
    await gate.sandboxes.stopAll()
    // The command's end reaches whoever still listened to it.
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(asked).toBe(0)
    expect(gate.sandboxes.lostOnes).toEqual([])
    expect((await gate.store.openInvocations.ofSession(session.id)).map(({ record }) => record.status)).toEqual(['running'])
  })

  it('a sandbox that is gone leaves an unknown outcome, never run again', async () => {
    const before = await gateOf()
    const session = await before.session()
    const id = await underWay(before, session)
    await before.invocations.stop()
    await before.sandboxes.stopAll()
    const after = await restart(before, { withoutSandboxes: true })
    await after.invocations.resume()
    const record = await after.invocations.settled(id)
    expect(record).toMatchObject({ status: 'failed', error: { code: 'unknown_outcome', retryable: false } })
    expect(ran(after, session)).toBe('once\n')
    expect(after.sandboxes.current(session.id)).toBeNull()
  })

  it.each([
    { tool: 'test.append', code: 'unknown_outcome', retryable: false },
    { tool: 'test.late_read', code: 'sandbox_lost', retryable: true },
  ])('of another generation: $tool ends as $code', async ({ tool, code, retryable }) => {
    const gate = await gateOf()
    const session = await gate.session()
    const done = await gate.invoke(session, 'test.append')
    const row: Invocation = {
      ...done,
      id: 'inv_left',
      tool_name: tool,
      status: 'running',
      output: null,
      completed_at: null,
      artifacts: [],
    }
    const deadline = new Date(Date.now() + 60_000).toISOString()
    await gate.store.openInvocations.insert({ record: row, call: { args: {}, caller: { ...alice }, generation: 77, deadline } })
    await gate.invocations.resume()
    expect(await gate.invocations.settled('inv_left')).toMatchObject({ status: 'failed', error: { code, retryable } })
  })

  it('a call that was only recorded is evaluated: it had no effect yet', async () => {
    const gate = await gateOf()
    const session = await gate.session()
    const refused = await gate.refusal(session, 'test.approved', { text: 'x' })
    const row: Invocation = { ...refused.invocation, status: 'running', decision: null, error: null, completed_at: null }
    const call = { args: { text: 'x' }, caller: { ...alice }, generation: null, deadline: null }
    await gate.store.openInvocations.insert({ record: { ...row, id: 'inv_a' }, call })
    await gate.store.openInvocations.insert({ record: { ...row, id: 'inv_b' }, call: { ...call, approved: true } })
    await gate.store.openInvocations.insert({
      record: { ...row, id: 'inv_c' },
      call: { ...call, approved: true, caller: { ...agentOf(session.id) } },
    })
    await gate.store.openInvocations.insert({
      record: { ...row, id: 'inv_d' },
      call: { ...call, args: { text: 7 }, approved: true },
    })
    await gate.store.openInvocations.insert({
      record: { ...row, id: 'inv_e', tool_name: 'no.tool' },
      call: { ...call, approved: true },
    })
    await gate.invocations.resume()
    expect(await gate.invocations.settled('inv_a')).toMatchObject({ status: 'denied', error: { code: 'approval_required' } })
    expect(await gate.invocations.settled('inv_b')).toMatchObject({ status: 'succeeded', approval: { kind: 'given' } })
    expect(await gate.invocations.settled('inv_c')).toMatchObject({ status: 'denied', error: { code: 'approval_required' } })
    expect(await gate.invocations.settled('inv_d')).toMatchObject({ status: 'failed', error: { code: 'invalid_argument' } })
    expect(await gate.invocations.settled('inv_e')).toMatchObject({ status: 'failed' })
    expect(ran(gate, session)).toBe('x\n')
  })

  it('a record that was stored before its row went is not run again', async () => {
    const gate = await gateOf()
    const session = await gate.session()
    const done = await gate.invoke(session, 'test.append', { text: 'once' })
    // As with a store of finished records elsewhere, where the crash came between the two.
    await gate.store.openInvocations.insert({
      record: { ...done, artifacts: [], status: 'running' },
      call: { args: { text: 'once' }, caller: { ...alice }, generation: 1, deadline: done.started_at },
    })
    const stored = new SqlInvocationStore(gate.store)
    await stored.put({ ...done, artifacts: [] })
    await gate.invocations.resume()
    expect(await gate.store.openInvocations.all()).toEqual([])
    expect((await gate.invocations.settled(done.id)).status).toBe('succeeded')
    expect(ran(gate, session)).toBe('once\n')
  })

  it('what cannot be run from its args is not run: an upload, a step of the system', async () => {
    const gate = await gateOf()
    const session = await gate.session()
    const done = await gate.invoke(session, 'fs.write', { path: 'a.txt', content: 'kept' }, { approved: true })
    const row: Invocation = { ...done, status: 'running', output: null, completed_at: null, artifacts: [] }
    const call = {
      args: { path: 'a.txt', content: '' },
      caller: { ...alice },
      generation: 1,
      deadline: done.started_at,
      resumable: false,
    }
    await gate.store.openInvocations.insert({ record: { ...row, id: 'inv_upload' }, call })
    await gate.store.openInvocations.insert({
      record: { ...row, id: 'inv_setup', tool_name: 'session.setup' },
      call: { ...call, caller: { kind: 'system' } },
    })
    await gate.invocations.resume()
    for (const id of ['inv_upload', 'inv_setup'])
      expect(await gate.invocations.settled(id)).toMatchObject({ status: 'failed', error: { code: 'unknown_outcome' } })
    expect(readFileSync(gate.path(session, 'a.txt'), 'utf8')).toBe('kept')
  })

  it.each([
    { what: 'is reported as what it was', rest: '', outcome: { status: 'succeeded', output: { replacements: 1 } } },
    {
      what: 'to a file too long to be remembered is not reported as failed because it looks different now',
      rest: 'x'.repeat(900_000),
      outcome: { status: 'failed', error: { code: 'unknown_outcome' } },
    },
  ])('a write that was done $what', async ({ rest, outcome }) => {
    const gate = await gateOf()
    const session = await gate.session()
    writeFileSync(gate.path(session, 'a.txt'), `one${rest}`)
    // Killed after host wrote and before the record: the invocation store throws once.
    const store: InvocationStore = new SqlInvocationStore(gate.store)
    let failures = 0
    const flaky = new Proxy(store, {
      get: (target, name) => {
        if (name === 'put' && failures++ === 0) return () => Promise.reject(new Error('the power is cut'))
        const member: unknown = Reflect.get(target, name)
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    const dying = await restart(gate, { dependencies: { invocationStore: flaky } })
    await expect(
      dying.invoke(session, 'fs.edit', { path: 'a.txt', old_string: 'one', new_string: 'two' }, { approved: true }),
    ).rejects.toThrow()
    expect(readFileSync(gate.path(session, 'a.txt'), 'utf8')).toBe(`two${rest}`)
    const [row] = await gate.store.openInvocations.ofSession(session.id)
    const after = await restart(dying)
    await after.invocations.resume()
    expect(await after.invocations.settled(row?.record.id ?? '')).toMatchObject(outcome)
    expect(readFileSync(gate.path(session, 'a.txt'), 'utf8')).toBe(`two${rest}`)
  })

  it('approvals: pending ones wait, approved ones run once, denied ones end', async () => {
    const before = await gateOf()
    const session = await before.session()
    const ask = async (text: string) => {
      const { id } = await before.invoke(session, 'test.approved', { text }, { request_approval: true })
      return { id, approval: (await before.store.approvals.ofInvocation(id))?.id ?? '' }
    }
    const [waiting, approved, denied] = [await ask('waiting'), await ask('approved'), await ask('denied')]
    // Decided on record, and the server died before anything followed from it.
    await before.store.approvals.decide(approved.approval, 'pending', { status: 'approved', decided_by: 'default/alice' })
    await before.store.approvals.decide(denied.approval, 'pending', { status: 'denied', decided_by: 'default/alice' })
    const after = await restart(before)
    await Promise.all([after.invocations.resume(), after.invocations.resume()])
    expect(await after.invocations.settled(approved.id)).toMatchObject({
      status: 'succeeded',
      approval: { kind: 'requested', by: 'default/alice' },
    })
    expect(await after.invocations.settled(denied.id)).toMatchObject({
      status: 'denied',
      error: { details: { rule: 'approval_denied' } },
    })
    expect((await after.invocations.get(alice, waiting.id)).status).toBe('pending_approval')
    await after.approvals.approve(alice, waiting.approval, null)
    await after.invocations.settled(waiting.id)
    expect(ran(after, session).split('\n').sort()).toEqual(['', 'approved', 'waiting'])
  })

  it.each([
    ['says that it acts elsewhere', true, ['once'], { status: 'failed', error: { code: 'unknown_outcome' } }],
    ['says nothing', false, ['once', 'once'], { status: 'succeeded' }],
  ])('a call that %s before it does', async (_what, says, sent, outcome) => {
    const acted: string[] = []
    const tool = defineTool({
      name: 'test.elsewhere',
      description: 'A tool for tests.',
      input: z.object({}),
      output: z.object({}),
      scope: 'external',
      side_effects: 'irreversible',
      risk_level: 'low',
      requires_approval: false,
      timeout_seconds: 20,
      errors: [],
      examples: [],
      async handler(_args, { actsOutside }) {
        if (says) await actsOutside()
        acted.push('once')
        // The first time the server dies before there is an answer.
        if (acted.length === 1) await new Promise(() => undefined)
        return { output: {} }
      },
    })
    const dependencies = { catalog: makeCatalog([tool]) }
    const before = await gateOf({ dependencies })
    const session = await before.session({ principal: { tenant_id: 'default', actor_id: 'alice', roles: ['devops'] } })
    before.invoke(session, 'test.elsewhere').catch(() => undefined)
    while (acted.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const [row] = await before.store.openInvocations.ofSession(session.id)
    await before.invocations.stop()
    const after = await restart(before, { dependencies })
    await after.invocations.resume()
    expect(await after.invocations.settled(row?.record.id ?? '')).toMatchObject(outcome)
    expect(acted).toEqual(sent)
  })

  it('what a closed session left open is ended', async () => {
    const before = await gateOf()
    const session = await before.session()
    const id = await underWay(before, session)
    await before.invocations.stop()
    await before.store.sessions.update(session.id, { state: 'closed' })
    const after = await restart(before)
    await after.invocations.resume()
    expect(await after.invocations.settled(id)).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
  })
})

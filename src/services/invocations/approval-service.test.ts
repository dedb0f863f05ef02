import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { admin, agentOf, alice, Gate, mallory, SECRET } from '../../../test/support/gate.ts'
import type { Approval } from '../../domain/approval.ts'
import type { Session } from '../../domain/session.ts'

let gate: Gate
const clock = { skew: 0 }
beforeAll(async () => {
  gate = await Gate.open({ clock: () => new Date(Date.now() + clock.skew) })
})
afterAll(async () => await gate?.close())

/** A pending call by the session's agent, and its approval. */
async function pending(session: Session, tool = 'test.approved', args: Record<string, unknown> = { text: 'yes' }) {
  const record = await gate.invoke(session, tool, args, { request_approval: true, caller: agentOf(session.id) })
  expect(record.status).toBe('pending_approval')
  const approval = (await gate.store.approvals.ofInvocation(record.id)) as Approval
  return { record, approval }
}

const ran = (session: Session) =>
  existsSync(gate.path(session, 'ran.txt')) ? readFileSync(gate.path(session, 'ran.txt'), 'utf8') : ''
const approvalEvents = async (session: Session) =>
  (await gate.events(session)).filter(({ type }) => type.startsWith('approval.')).map(({ type }) => type)

describe('a requested approval', () => {
  it('names exactly the call, and nothing has run', async () => {
    const session = await gate.session()
    const { record, approval } = await pending(session, 'fs.write', { path: 'a.txt', content: 'hola' })
    expect(approval).toMatchObject({
      session_id: session.id,
      invocation_id: record.id,
      tool_name: 'fs.write',
      args: { path: 'a.txt', content: 'hola' },
      args_digest: record.args_digest,
      requested_by: 'default/alice',
      status: 'pending',
      decided_by: null,
    })
    expect(approval.state_digest).toMatch(/^[0-9a-f]{64}$/)
    expect(existsSync(gate.path(session, 'a.txt'))).toBe(false)
    expect(await approvalEvents(session)).toEqual(['approval.requested'])
  })

  it('is approved, and runs exactly that call, once', async () => {
    const session = await gate.session()
    const { record, approval } = await pending(session)
    const settled = gate.invocations.settled(record.id)
    const decided = await Promise.allSettled(
      Array.from({ length: 10 }, () => gate.approvals.approve(alice, approval.id, 'go on')),
    )
    expect(decided.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of decided) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' })
    expect(await settled).toMatchObject({
      id: record.id,
      status: 'succeeded',
      approval: { kind: 'requested', by: 'default/alice', approval_id: approval.id },
      actor: { kind: 'agent' },
    })
    expect(ran(session)).toBe('yes\n')
    expect(await gate.approvals.get(alice, approval.id)).toMatchObject({
      status: 'used',
      decided_by: 'default/alice',
      reason: 'go on',
    })
    expect(await approvalEvents(session)).toEqual(['approval.requested', 'approval.decided', 'approval.used'])
    // Said again, it means nothing any more.
    await gate.invocations.approvalDecided({ ...approval, status: 'approved' })
    await gate.invocations.resume()
    expect(ran(session)).toBe('yes\n')
  })

  it('is decided before the call that asked is back', async () => {
    const session = await gate.session()
    const decided: Promise<Approval>[] = []
    const leave = gate.eventLog.subscribe(session.id, (entry) => {
      if (entry.type === 'approval.requested')
        decided.push(gate.approvals.approve(alice, String(entry.data['approval_id']), null))
    })
    const { id } = await gate.invoke(session, 'test.approved', { text: 'quick' }, { request_approval: true })
    expect((await gate.invocations.settled(id)).status).toBe('succeeded')
    expect(await Promise.all(decided)).toMatchObject([{ status: 'used' }])
    leave()
  })

  it.each([
    { how: 'denied', decide: 'deny', rule: 'approval_denied' },
    { how: 'revoked', decide: 'revoke', rule: 'approval_revoked' },
  ] as const)('is $how: the call ends denied, without having run', async ({ how, decide, rule }) => {
    const session = await gate.session()
    const { record, approval } = await pending(session)
    await gate.approvals[decide](admin, approval.id, `not with ${SECRET}`)
    const ended = await gate.invocations.settled(record.id)
    expect(ended).toMatchObject({ status: 'denied', error: { code: 'policy_denied', details: { rule } } })
    expect(await gate.approvals.get(alice, approval.id)).toMatchObject({
      status: how,
      decided_by: 'default/root',
      reason: 'not with [secret:TOKEN]',
    })
    expect(JSON.stringify([ended, await gate.events(session)])).not.toContain(SECRET)
    await expect(gate.approvals.approve(alice, approval.id, null)).rejects.toMatchObject({
      code: 'conflict',
      details: { status: how },
    })
    expect(ran(session)).toBe('')
  })

  it('expires, by the operator and by whoever comes too late', async () => {
    const session = await gate.session()
    const first = await pending(session)
    const second = await pending(session)
    clock.skew = 3_601_000
    try {
      await expect(gate.approvals.approve(alice, first.approval.id, null)).rejects.toMatchObject({
        code: 'conflict',
        details: { status: 'expired' },
      })
      await gate.approvals.expireDue(new Date(Date.now() + clock.skew))
      await gate.approvals.expireDue(new Date(Date.now() + clock.skew))
    } finally {
      clock.skew = 0
    }
    for (const { record, approval } of [first, second]) {
      expect(await gate.invocations.settled(record.id)).toMatchObject({
        status: 'denied',
        error: { details: { rule: 'approval_expired' } },
      })
      expect((await gate.approvals.get(alice, approval.id)).status).toBe('expired')
    }
    expect((await approvalEvents(session)).filter((type) => type === 'approval.expired')).toHaveLength(2)
    expect(ran(session)).toBe('')
  })

  it('is not expired before its time', async () => {
    const session = await gate.session()
    const { approval } = await pending(session)
    await gate.approvals.expireDue(new Date(Date.now() + 3_500_000))
    expect((await gate.approvals.get(alice, approval.id)).status).toBe('pending')
  })

  it('ends with its session', async () => {
    const session = await gate.session()
    const { record, approval } = await pending(session)
    await gate.store.sessions.update(session.id, { state: 'closed' })
    await gate.invocations.abandonSession(session.id, 'the session is closed')
    expect(await gate.invocations.settled(record.id)).toMatchObject({
      status: 'failed',
      error: { code: 'cancelled', message: 'the session is closed' },
    })
    expect((await gate.approvals.get(alice, approval.id)).status).toBe('revoked')
    await expect(gate.approvals.approve(alice, approval.id, null)).rejects.toMatchObject({ code: 'conflict' })
    expect(ran(session)).toBe('')
  })

  it('does not reach a closed session, even when the decision was faster', async () => {
    const session = await gate.session()
    const { record, approval } = await pending(session)
    await gate.store.sessions.update(session.id, { state: 'closed' })
    await gate.approvals.approve(alice, approval.id, null)
    expect(await gate.invocations.settled(record.id)).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
    expect(ran(session)).toBe('')
  })

  it('is cancelled with its call', async () => {
    const session = await gate.session()
    const { record, approval } = await pending(session)
    expect(await gate.invocations.cancel(alice, record.id)).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
    expect((await gate.approvals.get(alice, approval.id)).status).toBe('revoked')
  })
})

describe('the single use', () => {
  it('holds between two servers that hear of it at the same time', async () => {
    const session = await gate.session()
    const { record, approval } = await pending(session)
    const other = await Gate.open({ home: gate.home, sandboxes: gate.sandboxes })
    await gate.store.approvals.decide(approval.id, 'pending', { status: 'approved', decided_by: 'default/alice' })
    const approved = { ...approval, status: 'approved', decided_by: 'default/alice' } as const
    await Promise.all([gate.invocations.approvalDecided(approved), other.invocations.approvalDecided(approved)])
    // Whichever of the two it was: the row goes when it is recorded.
    await until(async () => (await gate.store.openInvocations.get(record.id)) === null)
    expect(await gate.invocations.get(alice, record.id)).toMatchObject({ status: 'succeeded' })
    expect(ran(session)).toBe('yes\n')
    await other.store.close()
  })

  it('is not there any more when the approval is taken back in between', async () => {
    const session = await gate.session()
    const { record, approval } = await pending(session)
    await gate.store.approvals.decide(approval.id, 'pending', { status: 'revoked' })
    await gate.invocations.approvalDecided({ ...approval, status: 'approved', decided_by: 'default/alice' })
    expect(await gate.invocations.settled(record.id)).toMatchObject({
      status: 'denied',
      error: { details: { rule: 'approval_revoked' } },
    })
    expect(ran(session)).toBe('')
  })
})

describe('a stale approval', () => {
  const patch = '--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n'
  it.each<{ what: string; tool: string; args: Record<string, unknown>; change: (session: Session) => void | Promise<void> }>([
    {
      what: 'the file',
      tool: 'fs.write',
      args: { path: 'a.txt', content: 'x' },
      change: (session) => writeFileSync(gate.path(session, 'a.txt'), 'other\n'),
    },
    {
      what: 'a patched file',
      tool: 'git.apply_patch',
      args: { patch },
      change: (session) => writeFileSync(gate.path(session, 'a.txt'), 'one\nmore\n'),
    },
    {
      what: "the repository's HEAD",
      tool: 'git.apply_patch',
      args: { patch },
      change: async (session) => {
        await gate.invoke(session, 'test.git_commit', {})
      },
    },
    {
      what: 'what policy says',
      tool: 'fs.write',
      args: { path: 'a.txt', content: 'x' },
      change: (session) => gate.store.sessions.update(session.id, { tools: { allow: ['*'], deny: ['fs.*'] } }),
    },
  ])('does not run when $what changed meanwhile', async ({ tool, args, change }) => {
    const session = await gate.session()
    await gate.invoke(session, 'test.git_commit', {})
    writeFileSync(gate.path(session, 'a.txt'), 'one\n')
    const { record, approval } = await pending(session, tool, args)
    await change(session)
    const before = readFileSync(gate.path(session, 'a.txt'), 'utf8')
    expect(await gate.approvals.approve(alice, approval.id, null)).toMatchObject({ status: 'expired' })
    expect(await gate.invocations.settled(record.id)).toMatchObject({ status: 'denied', error: { code: 'policy_denied' } })
    expect(readFileSync(gate.path(session, 'a.txt'), 'utf8')).toBe(before)
    expect(await approvalEvents(session)).toEqual(['approval.requested', 'approval.decided', 'approval.expired'])
  })

  it('runs when nothing changed', async () => {
    const session = await gate.session()
    await gate.invoke(session, 'test.git_commit', {})
    writeFileSync(gate.path(session, 'a.txt'), 'one\n')
    const { record, approval } = await pending(session, 'git.apply_patch', { patch })
    expect((await gate.approvals.approve(alice, approval.id, null)).status).toBe('used')
    expect(await gate.invocations.settled(record.id)).toMatchObject({ status: 'succeeded' })
    expect(readFileSync(gate.path(session, 'a.txt'), 'utf8')).toBe('two\n')
  })

  it('ends when no sandbox can be had to look', async () => {
    const session = await gate.session()
    const { record, approval } = await pending(session)
    await gate.sandboxes.lost(session.id, gate.sandboxes.current(session.id)?.generation ?? 0)
    gate.sandboxes.broken = 'no room'
    try {
      expect((await gate.approvals.approve(alice, approval.id, null)).status).toBe('expired')
    } finally {
      gate.sandboxes.broken = null
    }
    expect(await gate.invocations.settled(record.id)).toMatchObject({ status: 'failed', error: { code: 'sandbox_unavailable' } })
  })
})

describe('who may decide', () => {
  it('people who own the session, and admins; agents never, strangers learn nothing', async () => {
    const session = await gate.session()
    const { approval } = await pending(session)
    for (const [caller, code] of [
      [mallory, 'not_found'],
      [agentOf('other'), 'not_found'],
      [agentOf(session.id), 'permission_denied'],
      [agentOf(session.id, 'mcp'), 'permission_denied'],
    ] as const) {
      for (const decide of ['approve', 'deny', 'revoke'] as const)
        await expect(gate.approvals[decide](caller, approval.id, null)).rejects.toMatchObject({ code })
      await expect(gate.approvals.get(caller, approval.id)).rejects.toMatchObject({ code })
    }
    await expect(gate.approvals.approve({ kind: 'system' }, approval.id, null)).rejects.toMatchObject({
      code: 'permission_denied',
    })
    await expect(gate.approvals.approve(alice, 'apr_unknown', null)).rejects.toMatchObject({ code: 'not_found' })
    expect((await gate.approvals.get(alice, approval.id)).status).toBe('pending')
    expect(ran(session)).toBe('')
    await gate.approvals.approve(admin, approval.id, null)
    expect((await gate.invocations.settled(approval.invocation_id)).approval?.by).toBe('default/root')
  })

  it("lists what is the caller's", async () => {
    const session = await gate.session()
    const foreign = await gate.session({ owner: { tenant_id: 'default', actor_id: 'bob' } })
    const mine = await pending(session)
    const theirs = (await gate.invoke(foreign, 'test.approved', {}, { request_approval: true, caller: agentOf(foreign.id) })).id
    const page = { limit: 100, cursor: null }
    const ids = async (caller: Parameters<typeof gate.approvals.list>[0]) =>
      (await gate.approvals.list(caller, { status: 'pending' }, page)).items.map(({ invocation_id }) => invocation_id)
    expect(await ids(alice)).toContain(mine.record.id)
    expect(await ids(alice)).not.toContain(theirs)
    expect(await ids(admin)).toEqual(expect.arrayContaining([mine.record.id, theirs]))
    await expect(ids(agentOf(session.id))).rejects.toMatchObject({ code: 'permission_denied' })
    expect((await gate.approvals.list(alice, { session_id: foreign.id }, page)).items).toEqual([])
  })
})

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

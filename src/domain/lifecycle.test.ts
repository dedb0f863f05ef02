import { describe, expect, it } from 'vitest'
import type { Approval } from './approval.ts'
import { approvalDue, delayUntil, openCalls, retentionDue, sessionDue } from './lifecycle.ts'
import { sampleSession } from './session.sample.ts'

const NOW = Date.parse('2026-01-01T12:00:00.000Z')
const at = (seconds: number) => new Date(NOW + seconds * 1000).toISOString()
const sandbox = { kind: 'x', generation: 1, phase: 'running' as const, detail: {}, isolation: null, started_at: at(-10) }

describe('sessionDue', () => {
  it.each([
    ['idle, used just now', { state: 'idle', last_activity_at: at(0) }, 'wait', 900],
    ['idle, last second', { state: 'idle', last_activity_at: at(-899) }, 'wait', 1],
    ['idle for the whole timeout', { state: 'idle', last_activity_at: at(-900) }, 'close', null],
    ['busy is never idle', { state: 'busy', last_activity_at: at(-90_000) }, 'wait', null],
    ['busy, but expired', { state: 'busy', expires_at: at(0) }, 'close', null],
    ['expiry comes before the idle timeout', { state: 'idle', last_activity_at: at(0), expires_at: at(60) }, 'wait', 60],
    ['initializing', { state: 'initializing', last_activity_at: at(-90_000) }, 'initialize', null],
    ['initializing, expired', { state: 'initializing', expires_at: at(-1) }, 'close', null],
    ['error is closed when idle', { state: 'error', last_activity_at: at(-900) }, 'close', null],
    ['error with a sandbox', { state: 'error', sandbox }, 'discard_sandbox', null],
    ['closed', { state: 'closed', expires_at: at(-1), last_activity_at: at(-90_000) }, 'wait', null],
    ['closed with a sandbox on record', { state: 'closed', sandbox }, 'discard_sandbox', null],
    ['deleted', { state: 'deleted', last_activity_at: at(-90_000) }, 'wait', null],
    ['deleted with a sandbox on record', { state: 'deleted', sandbox }, 'discard_sandbox', null],
  ] as const)('%s', (_name, fields, action, inSeconds) => {
    const due = sessionDue(sampleSession({ idle_timeout_seconds: 900, last_activity_at: at(0), ...fields }), 'none', NOW)
    expect(due.action).toBe(action)
    expect(due.look_again_at).toBe(inSeconds === null ? null : NOW + inSeconds * 1000)
  })
})

it('a session with an open call is not idle, but expires', () => {
  const idle = sampleSession({ idle_timeout_seconds: 900, last_activity_at: at(-1000) })
  expect(sessionDue(idle, 'none', NOW).action).toBe('close')
  for (const open of ['running', 'waiting'] as const) {
    expect(sessionDue(idle, open, NOW).action).toBe('wait')
    expect(sessionDue({ ...idle, expires_at: at(-1) }, open, NOW)).toMatchObject({ action: 'close', reason: 'expired' })
  }
})

it.each(['idle', 'busy'] as const)(
  'a session that is %s and waits for a person keeps its sandbox for its idle time, and no longer',
  (state) => {
    const waiting = sampleSession({ state, sandbox, idle_timeout_seconds: 900, last_activity_at: at(-899) })
    expect(sessionDue(waiting, 'waiting', NOW)).toMatchObject({ action: 'wait', look_again_at: NOW + 1000 })
    expect(sessionDue(waiting, 'waiting', NOW + 1000)).toMatchObject({ action: 'discard_sandbox' })
    expect(sessionDue(waiting, 'running', NOW + 1000)).toMatchObject({ action: 'wait' })
    expect(sessionDue({ ...waiting, sandbox: null }, 'waiting', NOW + 1000)).toMatchObject({
      action: 'wait',
      look_again_at: null,
    })
  },
)

it.each([
  ['idle', [], 'none'],
  ['idle', [{ status: 'pending_approval', turn_id: null }], 'waiting'],
  ['busy', [{ status: 'pending_approval', turn_id: 't' }], 'waiting'],
  // The turn is at something else.
  ['busy', [{ status: 'pending_approval', turn_id: null }], 'running'],
  [
    'busy',
    [
      { status: 'pending_approval', turn_id: 't' },
      { status: 'running', turn_id: 't' },
    ],
    'running',
  ],
] as const)('%s with %o: %s', (state, records, expected) => {
  expect(openCalls({ state }, records)).toBe(expected)
})

describe('retentionDue', () => {
  const DAY = 86_400
  it.each([
    ['kept for ever', { state: 'deleted', last_activity_at: at(-9999 * DAY) }, null, 'wait', null],
    ['closed, the last second', { state: 'closed', last_activity_at: at(-30 * DAY + 1) }, 30, 'wait', 1],
    ['closed long enough', { state: 'closed', last_activity_at: at(-30 * DAY) }, 30, 'forget', null],
    ['deleted long enough', { state: 'deleted', last_activity_at: at(-30 * DAY) }, 30, 'forget', null],
    ['deleted just now', { state: 'deleted', last_activity_at: at(0) }, 30, 'wait', 30 * DAY],
    ['nothing is kept', { state: 'closed', last_activity_at: at(0) }, 0, 'forget', null],
    ['idle is not over', { state: 'idle', last_activity_at: at(-9999 * DAY) }, 0, 'wait', null],
    ['error is not over', { state: 'error', last_activity_at: at(-9999 * DAY) }, 0, 'wait', null],
    ['restored', { state: 'initializing', last_activity_at: at(-9999 * DAY) }, 0, 'wait', null],
  ] as const)('%s', (_name, fields, days, action, inSeconds) => {
    const due = retentionDue(fields, days, NOW)
    expect(due.action).toBe(action)
    expect(due.look_again_at).toBe(inSeconds === null ? null : NOW + inSeconds * 1000)
  })
})

describe('approvalDue', () => {
  const approval = (fields: Partial<Approval>) => ({ status: 'pending', expires_at: at(10), ...fields }) as Approval
  it.each([
    ['pending', {}, 'wait'],
    ['pending and over', { expires_at: at(0) }, 'expire'],
    ['decided and over', { status: 'approved', expires_at: at(-5) }, 'wait'],
  ] as const)('%s', (_name, fields, action) => {
    expect(approvalDue(approval(fields), NOW).action).toBe(action)
  })
})

it('delayUntil takes the earliest, never less than nothing', () => {
  expect(delayUntil([NOW + 500, null, NOW + 200], NOW, 1000)).toBe(200)
  expect(delayUntil([null], NOW, 1000)).toBe(1000)
  expect(delayUntil([NOW - 5], NOW, 1000)).toBe(0)
})

import type { Approval } from './approval.ts'
import type { Invocation } from './invocation.ts'
import type { Session } from './session.ts'

/** What the operator does next about a record, and when to look again (ms since the epoch; null: nothing is due by time). */
export interface Due<Action extends string> {
  action: Action | 'wait'
  reason: string
  look_again_at: number | null
}

/** What a session has under way: calls that run, only calls that wait for a person (its turn may be waiting with them), or none. */
export type OpenCalls = 'running' | 'waiting' | 'none'

/** Of a session's open records. A turn that goes on while somebody else's call waits is no waiting turn. */
export function openCalls(
  session: Pick<Session, 'state'>,
  records: readonly Pick<Invocation, 'status' | 'turn_id'>[],
): OpenCalls {
  if (records.length === 0) return 'none'
  const waits = records.every(({ status }) => status === 'pending_approval')
  return waits && (session.state !== 'busy' || records.some(({ turn_id }) => turn_id !== null)) ? 'waiting' : 'running'
}

/** What is due for a session now. Pure: the clock is a parameter. */
export function sessionDue(session: Session, open: OpenCalls, now: number): Due<'initialize' | 'close' | 'discard_sandbox'> {
  if (session.state === 'closed' || session.state === 'deleted' || session.state === 'error') {
    if (session.sandbox) return { action: 'discard_sandbox', reason: `the session is ${session.state}`, look_again_at: null }
    if (session.state !== 'error') return { action: 'wait', reason: 'nothing is due', look_again_at: null }
  }
  const expires = session.expires_at === null ? null : Date.parse(session.expires_at)
  if (expires !== null && expires <= now) return { action: 'close', reason: 'expired', look_again_at: null }
  if (session.state === 'initializing') return { action: 'initialize', reason: 'not initialized yet', look_again_at: expires }
  const idleUntil = Date.parse(session.last_activity_at) + session.idle_timeout_seconds * 1000
  // What waits for a person may wait for days: the session stays, and holds no process after its idle time.
  if (open === 'waiting') {
    if (session.sandbox && idleUntil <= now)
      return { action: 'discard_sandbox', reason: 'it waits for an approval', look_again_at: expires }
    const until = session.sandbox ? idleUntil : null
    return { action: 'wait', reason: 'it waits for an approval', look_again_at: earliest(until, expires) }
  }
  if (session.state === 'busy' || open === 'running') return { action: 'wait', reason: 'in use', look_again_at: expires }
  if (idleUntil <= now) return { action: 'close', reason: 'idle timeout', look_again_at: null }
  return { action: 'wait', reason: 'nothing is due', look_again_at: earliest(idleUntil, expires) }
}

function earliest(...times: (number | null)[]): number | null {
  const given = times.filter((time) => time !== null)
  return given.length === 0 ? null : Math.min(...given)
}

export function approvalDue(approval: Approval, now: number): Due<'expire'> {
  const expires = Date.parse(approval.expires_at)
  if (approval.status !== 'pending') return { action: 'wait', reason: `already ${approval.status}`, look_again_at: null }
  return expires <= now
    ? { action: 'expire', reason: 'nobody decided in time', look_again_at: null }
    : { action: 'wait', reason: 'pending', look_again_at: expires }
}

/**
 * What is due for the artifacts and logs of a session. An ended session is not active any more, so its last activity is its end.
 * @param days how long they outlive it; null: for ever
 */
export function retentionDue(
  session: Pick<Session, 'state' | 'last_activity_at'>,
  days: number | null,
  now: number,
): Due<'forget'> {
  if (days === null) return { action: 'wait', reason: 'they are kept for ever', look_again_at: null }
  if (session.state !== 'closed' && session.state !== 'deleted')
    return { action: 'wait', reason: `the session is ${session.state}`, look_again_at: null }
  const until = Date.parse(session.last_activity_at) + days * 86_400_000
  return until <= now
    ? { action: 'forget', reason: `the session is ${session.state} for ${days} days`, look_again_at: null }
    : { action: 'wait', reason: 'not old enough', look_again_at: until }
}

/** When a loop that must look at the earliest of `times`, and at least every `maximum` ms, has to look again: ms from now. */
export function delayUntil(times: (number | null)[], now: number, maximum: number): number {
  const next = Math.min(...times.filter((time) => time !== null), now + maximum)
  return Math.max(0, next - now)
}

import type { Approval } from './approval.ts'
import type { Session } from './session.ts'

/** What the operator does next about a record, and when to look again (ms since the epoch; null: nothing is due by time). */
export interface Due<Action extends string> {
  action: Action | 'wait'
  reason: string
  look_again_at: number | null
}

/**
 * What is due for a session now. Pure: the clock is a parameter.
 * @param open whether a call of it runs or waits for approval: such a session is not idle
 */
export function sessionDue(session: Session, open: boolean, now: number): Due<'initialize' | 'close' | 'discard_sandbox'> {
  if (session.state === 'closed' || session.state === 'deleted' || session.state === 'error') {
    if (session.sandbox) return { action: 'discard_sandbox', reason: `the session is ${session.state}`, look_again_at: null }
    if (session.state !== 'error') return { action: 'wait', reason: 'nothing is due', look_again_at: null }
  }
  const expires = session.expires_at === null ? null : Date.parse(session.expires_at)
  if (expires !== null && expires <= now) return { action: 'close', reason: 'expired', look_again_at: null }
  if (session.state === 'initializing') return { action: 'initialize', reason: 'not initialized yet', look_again_at: expires }
  // A running turn is activity, and so is one that waits for a person.
  if (session.state === 'busy' || open) return { action: 'wait', reason: 'in use', look_again_at: expires }
  const idleUntil = Date.parse(session.last_activity_at) + session.idle_timeout_seconds * 1000
  if (idleUntil <= now) return { action: 'close', reason: 'idle timeout', look_again_at: null }
  return { action: 'wait', reason: 'nothing is due', look_again_at: expires === null ? idleUntil : Math.min(idleUntil, expires) }
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

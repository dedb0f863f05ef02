import { canonicalJson, sha256 } from './canonical-json.ts'
import type { Actor } from './principal.ts'

export const EVENT_TYPES = [
  'session.created',
  'session.state_changed',
  'session.updated',
  'session.forked',
  'session.deleted',
  'sandbox.started',
  'sandbox.stopped',
  'sandbox.lost',
  'message.created',
  'turn.started',
  'turn.step',
  'turn.completed',
  'turn.interrupted',
  'model.called',
  'invocation.requested',
  'invocation.started',
  'invocation.completed',
  'invocation.denied',
  'approval.requested',
  'approval.decided',
  'approval.expired',
  'approval.used',
  'artifact.stored',
] as const

export type EventType = (typeof EVENT_TYPES)[number]

/** One entry of a session's append-only log. `seq` counts from 1 without gaps. */
export interface Event {
  session_id: string
  seq: number
  type: EventType
  at: string
  actor: Actor
  data: Record<string, unknown>
  prev_hash: string
  hash: string
}

/** Streamed only: no seq, in no chain, lost if nobody listens. */
export interface Delta {
  session_id: string
  type: 'message.delta' | 'invocation.output'
  at: string
  data: Record<string, unknown>
}

export const GENESIS_HASH = '0'.repeat(64)

/** SHA-256 over the canonical JSON (RFC 8785) of everything but the hash itself. */
export function eventHash(event: Omit<Event, 'hash'>): string {
  const { session_id, seq, type, at, actor, data, prev_hash } = event
  return sha256(canonicalJson({ session_id, seq, type, at, actor, data, prev_hash }))
}

export interface ChainVerdict {
  valid: boolean
  /** How many events were read. */
  events: number
  /** The first sequence number at which the chain does not hold; absent when it does. */
  broken_at?: number
  reason?: string
}

/**
 * Recomputes the chain. A change, a removal, a swap or an insertion breaks it at the first event concerned. A cut tail is only
 * visible against what the session itself says it had (`expected`: last seq and hash), kept in another table.
 */
export function verifyChain(events: Iterable<Event>, expected: { seq: number; hash: string } | null): ChainVerdict {
  let count = 0
  let prevHash = GENESIS_HASH
  for (const event of events) {
    const seq = count + 1
    if (event.seq !== seq) return { valid: false, events: count, broken_at: seq, reason: `event ${seq} is missing` }
    if (event.prev_hash !== prevHash) return { valid: false, events: count, broken_at: seq, reason: 'does not follow its predecessor' }
    if (eventHash(event) !== event.hash) return { valid: false, events: count, broken_at: seq, reason: 'its content does not match its hash' }
    prevHash = event.hash
    count = seq
  }
  if (expected && (expected.seq !== count || expected.hash !== prevHash)) {
    const at = Math.min(expected.seq, count) + (expected.seq === count ? 0 : 1)
    return { valid: false, events: count, broken_at: at, reason: `the session recorded ${expected.seq} events, ${count} are there` }
  }
  return { valid: true, events: count }
}

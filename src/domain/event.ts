import { canonicalJson, sha256 } from './canonical-json.ts'
import type { Actor } from './principal.ts'

export const EVENT_TYPES = [
  'session.created',
  'session.state_changed',
  'session.updated',
  'session.forked',
  'session.deleted',
  'session.purged',
  'sandbox.started',
  'sandbox.stopped',
  'sandbox.lost',
  'message.created',
  'message.denied',
  'turn.started',
  'turn.answered',
  'turn.step',
  'turn.completed',
  'turn.interrupted',
  'context.compacted',
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
  const chain = new ChainVerifier()
  for (const event of events) {
    const broken = chain.add(event)
    if (broken) return broken
  }
  return chain.end(expected)
}

/** `verifyChain` one event at a time, for logs that are read in pieces. Nothing may be added after a verdict. */
export class ChainVerifier {
  #count = 0
  #prevHash = GENESIS_HASH

  /** @returns null while the chain holds */
  add(event: Event): ChainVerdict | null {
    const seq = this.#count + 1
    if (event.seq !== seq) return this.#broken(`event ${seq} is missing`)
    if (event.prev_hash !== this.#prevHash) return this.#broken('does not follow its predecessor')
    if (!matchesHash(event)) return this.#broken('its content does not match its hash')
    this.#prevHash = event.hash
    this.#count = seq
    return null
  }

  /** An event whose content cannot be parsed any more. */
  addUnreadable(seq: number): ChainVerdict {
    return this.#broken(seq === this.#count + 1 ? 'its content is not readable' : `event ${this.#count + 1} is missing`)
  }

  end(expected: { seq: number; hash: string } | null): ChainVerdict {
    const count = this.#count
    if (expected && (expected.seq !== count || expected.hash !== this.#prevHash)) {
      const at = Math.min(expected.seq, count) + (expected.seq === count ? 0 : 1)
      return {
        valid: false,
        events: count,
        broken_at: at,
        reason: `the session recorded ${expected.seq} events, ${count} are there`,
      }
    }
    return { valid: true, events: count }
  }

  #broken(reason: string): ChainVerdict {
    return { valid: false, events: this.#count, broken_at: this.#count + 1, reason }
  }
}

/** False also for content that has no canonical form (a number that became infinite, nesting without end): no append wrote it. */
function matchesHash(event: Event): boolean {
  try {
    return eventHash(event) === event.hash
  } catch {
    return false
  }
}

/** All are counts. 0: no limit. */
export interface QuotaLimits {
  perMinutePerSession: number
  perMinutePerPrincipal: number
  concurrentPerSession: number
}

export type Admission =
  | { ok: true; release: () => void }
  /** `retryAfterSeconds`: whole seconds, at least 1. */
  | { ok: false; reason: string; retryAfterSeconds: number }

const MINUTE = 60_000

/**
 * How often and how many at once. A sliding window of exact times, kept in memory: after a restart everybody starts afresh.
 * A refused call does not count.
 */
export class Quota {
  readonly #limits: QuotaLimits
  readonly #now: () => number
  readonly #calls = new Map<string, number[]>()
  readonly #running = new Map<string, number>()
  readonly #counted: string
  #swept = 0

  /**
   * @param now milliseconds since the epoch
   * @param counted what it is that is limited, as a refusal names it
   */
  constructor(limits: QuotaLimits, now: () => number = Date.now, counted = 'calls') {
    this.#counted = counted
    this.#limits = limits
    this.#now = now
  }

  /** `release` is called once, when the call is over; more often does nothing. */
  enter(sessionId: string, principal: string): Admission {
    const now = this.#now()
    this.#sweep(now)
    const { perMinutePerSession, perMinutePerPrincipal, concurrentPerSession } = this.#limits
    const windows = [
      { key: `session ${sessionId}`, limit: perMinutePerSession, what: 'this session' },
      { key: `principal ${principal}`, limit: perMinutePerPrincipal, what: principal },
    ].filter(({ limit }) => limit > 0)
    for (const { key, limit, what } of windows) {
      const calls = this.#recent(key, now)
      const oldest = calls[calls.length - limit]
      if (oldest === undefined) continue
      const retryAfterSeconds = Math.max(1, Math.ceil((oldest + MINUTE - now) / 1000))
      return { ok: false, reason: `${limit} ${this.#counted} a minute are allowed for ${what}`, retryAfterSeconds }
    }
    if (concurrentPerSession > 0 && (this.#running.get(sessionId) ?? 0) >= concurrentPerSession)
      return {
        ok: false,
        reason: `${concurrentPerSession} calls of this session run already: wait for one to end`,
        retryAfterSeconds: 1,
      }
    for (const { key } of windows) this.#recent(key, now).push(now)
    return { ok: true, release: this.occupy(sessionId) }
  }

  /** Counts a call that must not be refused any more: it was admitted before (approved, or resumed after a restart). */
  occupy(sessionId: string): () => void {
    this.#running.set(sessionId, (this.#running.get(sessionId) ?? 0) + 1)
    let released = false
    return () => {
      if (released) return
      released = true
      const left = (this.#running.get(sessionId) ?? 1) - 1
      if (left > 0) this.#running.set(sessionId, left)
      else this.#running.delete(sessionId)
    }
  }

  #recent(key: string, now: number): number[] {
    const calls = (this.#calls.get(key) ?? []).filter((at) => at > now - MINUTE)
    this.#calls.set(key, calls)
    return calls
  }

  /** Forgets who has not called for a minute. */
  #sweep(now: number): void {
    if (now - this.#swept < MINUTE) return
    this.#swept = now
    for (const [key, calls] of this.#calls) if ((calls.at(-1) ?? 0) <= now - MINUTE) this.#calls.delete(key)
  }
}

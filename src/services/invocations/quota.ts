/** All are counts. 0: no limit. */
export interface QuotaLimits {
  perMinutePerSession: number
  perMinutePerPrincipal: number
  concurrentPerSession: number
}

/** `retryAfterSeconds`: whole seconds, at least 1. */
export interface Refusal {
  ok: false
  reason: string
  retryAfterSeconds: number
}

export type Admission = { ok: true; release: () => void } | Refusal

const MINUTE = 60_000

/** Who is counted together, and up to how many in a minute. */
interface Window {
  key: string
  limit: number
  what: string
}

/**
 * How often and how many at once. A sliding window of exact times, kept in memory: after a restart everybody starts afresh.
 * A refused call does not count, but whoever goes on calling after as many refusals as there are calls in a minute is told apart:
 * of such a flood nothing is kept.
 */
export class Quota {
  readonly #limits: QuotaLimits
  readonly #now: () => number
  readonly #calls = new Map<string, number[]>()
  readonly #refused = new Map<string, number[]>()
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
    const windows = this.#windows(sessionId, principal)
    const full = this.#full(this.#calls, windows, now)
    const { concurrentPerSession } = this.#limits
    const busy = concurrentPerSession > 0 && (this.#running.get(sessionId) ?? 0) >= concurrentPerSession
    if (full || busy) for (const { key } of windows) recent(this.#refused, key, now).push(now)
    if (full) return full
    if (busy)
      return {
        ok: false,
        reason: `${concurrentPerSession} calls of this session run already: wait for one to end`,
        retryAfterSeconds: 1,
      }
    for (const { key } of windows) recent(this.#calls, key, now).push(now)
    return { ok: true, release: this.occupy(sessionId) }
  }

  /** Null unless this caller goes on after as many refusals in the last minute as calls are allowed in one. */
  flooded(sessionId: string, principal: string): Refusal | null {
    return this.#full(this.#refused, this.#windows(sessionId, principal), this.#now())
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

  #windows(sessionId: string, principal: string): Window[] {
    const { perMinutePerSession, perMinutePerPrincipal } = this.#limits
    return [
      { key: `session ${sessionId}`, limit: perMinutePerSession, what: 'this session' },
      { key: `principal ${principal}`, limit: perMinutePerPrincipal, what: principal },
    ].filter(({ limit }) => limit > 0)
  }

  /** What the first of these windows that has no room says. */
  #full(times: Map<string, number[]>, windows: Window[], now: number): Refusal | null {
    for (const { key, limit, what } of windows) {
      const within = recent(times, key, now)
      const oldest = within[within.length - limit]
      if (oldest === undefined) continue
      const retryAfterSeconds = Math.max(1, Math.ceil((oldest + MINUTE - now) / 1000))
      return { ok: false, reason: `${limit} ${this.#counted} a minute are allowed for ${what}`, retryAfterSeconds }
    }
    return null
  }

  /** Forgets who has not called for a minute. */
  #sweep(now: number): void {
    if (now - this.#swept < MINUTE) return
    this.#swept = now
    for (const times of [this.#calls, this.#refused])
      for (const [key, each] of times) if ((each.at(-1) ?? 0) <= now - MINUTE) times.delete(key)
  }
}

/** The times of the last minute; what is older is forgotten. */
function recent(times: Map<string, number[]>, key: string, now: number): number[] {
  const within = (times.get(key) ?? []).filter((at) => at > now - MINUTE)
  times.set(key, within)
  return within
}

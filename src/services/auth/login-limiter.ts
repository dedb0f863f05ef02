import { errors } from '../../domain/errors.ts'

/** Failed logins that are forgiven within the window: of one user name from one address, and of all names from one address. */
const PER_USER = 10
const PER_ADDRESS = 100
const WINDOW_MS = 15 * 60_000
/** Keys that are remembered; the oldest are forgotten first. */
const REMEMBERED = 50_000

interface Count {
  failures: number
  since: number
}

/**
 * Slows down who guesses passwords. In memory: a restart forgets, which costs more than it gains. A login counts as failed until
 * it succeeded, so that many at once gain nothing.
 */
export class LoginLimiter {
  readonly #clock: () => Date
  readonly #counts = new Map<string, Count>()

  constructor(clock: () => Date) {
    this.#clock = clock
  }

  /**
   * Call before the password is looked at.
   * @param address of the client; empty when unknown, which then counts by user name only
   * @returns what to call when the login succeeded
   * @throws CloisterError `rate_limited` with the seconds to wait
   */
  begin(user: string, address: string): () => void {
    const keys: [key: string, limit: number][] = [[JSON.stringify([address, user]), PER_USER]]
    if (address !== '') keys.push([JSON.stringify([address]), PER_ADDRESS])
    const now = this.#clock().getTime()
    for (const [key, limit] of keys) {
      const count = this.#current(key, now)
      if (count.failures < limit) continue
      const seconds = Math.max(1, Math.ceil((count.since + WINDOW_MS - now) / 1000))
      throw errors.rateLimited(`too many failed logins: try again in ${seconds} seconds`, seconds)
    }
    for (const [key] of keys) this.#current(key, now).failures++
    this.#forget(now)
    const [[userKey], addressKey] = keys as [[string, number], [string, number]?]
    return () => {
      this.#counts.delete(userKey)
      const ofAddress = addressKey && this.#counts.get(addressKey[0])
      if (ofAddress && ofAddress.failures > 0) ofAddress.failures--
    }
  }

  #current(key: string, now: number): Count {
    const known = this.#counts.get(key)
    if (known && known.since + WINDOW_MS > now) return known
    const fresh = { failures: 0, since: now }
    this.#counts.delete(key)
    this.#counts.set(key, fresh)
    return fresh
  }

  /** Oldest first, which is the map's order. */
  #forget(now: number): void {
    for (const [key, count] of this.#counts) {
      if (count.since + WINDOW_MS > now && this.#counts.size <= REMEMBERED) return
      this.#counts.delete(key)
    }
  }
}

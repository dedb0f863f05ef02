import type { ModelFailure } from './model-failure.ts'

/** How often, and how long after, a failed model call is made again. Times in ms. */
export interface RetryPolicy {
  max_attempts: number
  base_ms: number
  max_ms: number
  /** 0 to 1: spreads tries of many sessions. */
  random: () => number
}

/** A provider that asks for more than this is not waited for: the user is told instead. */
const LONGEST_RETRY_AFTER_MS = 10 * 60_000

/**
 * Exponential from `base_ms`, capped, the upper half random; never sooner than the provider asked. Null: no more tries.
 */
export function retryDelay(policy: RetryPolicy, attempt: number, failure: ModelFailure): number | null {
  if (attempt >= policy.max_attempts) return null
  const ceiling = Math.min(policy.base_ms * 2 ** (attempt - 1), policy.max_ms)
  const backoff = Math.round(ceiling / 2 + (ceiling / 2) * policy.random())
  const asked = failure.retry_after_ms ?? 0
  return asked > LONGEST_RETRY_AFTER_MS ? null : Math.max(backoff, asked)
}

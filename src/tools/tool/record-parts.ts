import type { ToolStatistics } from '../../domain/tool-statistics.ts'

export interface ScorePart {
  text: string
  points: number
}

/** What a record can take away of the words' points, at most: half and a little more. */
const WEIGHT = { failures: 0.3, refusals: 0.2, slowness: 0.1 } as const
/** Fewer calls than these say nothing. */
const ENOUGH_CALLS = 5
/** Of so many calls a record counts half of what it could. */
const HALF_TRUSTED = 20
/** As slow as this, or slower, counts in full. */
const SLOW_MS = 120_000

/**
 * What the record of a tool takes away from what its words are worth: calls that failed, calls that were refused, and slowness. A
 * clean record takes nothing, and neither does none: a new tool is not put behind an old one. Pure.
 */
export function recordParts(words: number, statistics: ToolStatistics | undefined): ScorePart[] {
  if (!statistics || statistics.calls < ENOUGH_CALLS) return []
  const { calls, succeeded, failed, denied, success_rate, p95_duration_ms } = statistics
  const trusted = words * (calls / (calls + HALF_TRUSTED))
  const parts: ScorePart[] = [
    {
      text: `record: ${succeeded} of ${succeeded + failed} calls succeeded`,
      points: -trusted * WEIGHT.failures * (1 - (success_rate ?? 1)),
    },
    { text: `record: ${denied} of ${calls} calls refused`, points: -trusted * WEIGHT.refusals * (denied / calls) },
    {
      text: `record: p95 ${(p95_duration_ms ?? 0) / 1000} s`,
      points: -trusted * WEIGHT.slowness * Math.min(1, (p95_duration_ms ?? 0) / SLOW_MS),
    },
  ]
  return parts.filter(({ points }) => points <= -0.01)
}

import type { Invocation } from './invocation.ts'

/** How a tool did in the last `window_days` days, of all calls of one tenant together. */
export interface ToolStatistics {
  window_days: number
  /** Those below: calls that say nothing of the tool (cancelled, rate limited, a fault of ours) are not counted. */
  calls: number
  succeeded: number
  failed: number
  /** Refused: by policy, or for want of an approval. */
  denied: number
  /** Of those that ran, 0 to 1; null: none ran. */
  success_rate: number | null
  /** 95 of 100 calls that ran took at most so many ms (the upper bound of a bucket); null: none ran. */
  p95_duration_ms: number | null
}

export type ToolOutcome = 'succeeded' | 'failed' | 'denied'

/** Calls of one tool with one outcome and a duration in one bucket. */
export interface OutcomeCount {
  tool_name: string
  outcome: ToolOutcome
  duration_bucket: number
  count: number
}

/** What is looked at, in days of UTC, today included. Older counts are deleted. */
export const STATISTICS_WINDOW_DAYS = 30

/** Upper bounds of the buckets in ms, each twice the one before: 5 ms to 22 minutes, more than any deadline. */
const BUCKETS = Array.from({ length: 19 }, (_, power) => 5 * 2 ** power)

/** Codes that tell of the caller, of the machine or of us, not of the tool. */
const SAYS_NOTHING = new Set([
  'cancelled',
  'conflict',
  'internal',
  'rate_limited',
  'sandbox_lost',
  'sandbox_unavailable',
  'session_closed',
  'store_unavailable',
  'unknown_outcome',
])

/**
 * What a finished call says of its tool; null: nothing. Tests that fail are an answer, so that the tool did its work. The system's
 * own steps are no tools.
 */
export function outcomeOf({ status, error, actor }: Pick<Invocation, 'status' | 'error' | 'actor'>): ToolOutcome | null {
  if (actor.kind === 'system' || status === 'running' || status === 'pending_approval') return null
  if (status === 'succeeded' || error?.code === 'tests_failed') return 'succeeded'
  if (error && SAYS_NOTHING.has(error.code)) return null
  return status
}

/** Which bucket a duration in ms falls into. */
export function durationBucket(ms: number): number {
  const bucket = BUCKETS.findIndex((bound) => ms <= bound)
  return bucket === -1 ? BUCKETS.length - 1 : bucket
}

/** The day of UTC on which something is counted, `2026-01-31`. */
export function statisticsDay(at: Date): string {
  return at.toISOString().slice(0, 10)
}

/** The first day that still counts. */
export function firstStatisticsDay(now: Date): string {
  return statisticsDay(new Date(now.getTime() - (STATISTICS_WINDOW_DAYS - 1) * 86_400_000))
}

/** By tool; tools without calls are absent. Pure. */
export function statisticsOf(counts: readonly OutcomeCount[]): Map<string, ToolStatistics> {
  const byTool = Map.groupBy(counts, ({ tool_name }) => tool_name)
  return new Map([...byTool].map(([tool, rows]) => [tool, statisticsOfTool(rows)]))
}

function statisticsOfTool(rows: readonly OutcomeCount[]): ToolStatistics {
  const total = (outcome: ToolOutcome) => rows.filter((row) => row.outcome === outcome).reduce((sum, { count }) => sum + count, 0)
  const [succeeded, failed, denied] = [total('succeeded'), total('failed'), total('denied')]
  const ran = succeeded + failed
  return {
    window_days: STATISTICS_WINDOW_DAYS,
    calls: ran + denied,
    succeeded,
    failed,
    denied,
    success_rate: ran === 0 ? null : Math.round((succeeded / ran) * 1000) / 1000,
    p95_duration_ms: p95(rows.filter(({ outcome }) => outcome !== 'denied')),
  }
}

function p95(rows: readonly OutcomeCount[]): number | null {
  const wanted = rows.reduce((sum, { count }) => sum + count, 0) * 0.95
  let seen = 0
  for (const { duration_bucket, count } of rows.toSorted((a, b) => a.duration_bucket - b.duration_bucket)) {
    seen += count
    if (seen >= wanted) return BUCKETS[duration_bucket] ?? null
  }
  return null
}

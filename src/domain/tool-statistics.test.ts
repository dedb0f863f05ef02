import { describe, expect, it } from 'vitest'
import type { InvocationError } from './invocation.ts'
import { durationBucket, firstStatisticsDay, type OutcomeCount, outcomeOf, statisticsOf } from './tool-statistics.ts'

const user = { kind: 'user' as const, id: 'default/alice' }
const failed = (code: InvocationError['code'], status: 'failed' | 'denied' = 'failed') =>
  outcomeOf({ status, error: { code, message: '', retryable: false }, actor: user })

describe('what a call says of its tool', () => {
  it.each<[InvocationError['code'], string | null]>([
    ['execution_failed', 'failed'],
    ['timeout', 'failed'],
    ['invalid_argument', 'failed'],
    ['tests_failed', 'succeeded'],
    ['cancelled', null],
    ['internal', null],
    ['sandbox_unavailable', null],
    ['unknown_outcome', null],
  ])('failed with %s: %s', (code, outcome) => {
    expect(failed(code)).toBe(outcome)
  })

  it.each<[InvocationError['code'], string | null]>([
    ['policy_denied', 'denied'],
    ['approval_required', 'denied'],
    ['rate_limited', null],
  ])('denied with %s: %s', (code, outcome) => {
    expect(failed(code, 'denied')).toBe(outcome)
  })

  it('open calls and the steps of the system say nothing', () => {
    expect(outcomeOf({ status: 'succeeded', error: null, actor: user })).toBe('succeeded')
    expect(outcomeOf({ status: 'succeeded', error: null, actor: { kind: 'system', id: 'system' } })).toBeNull()
    for (const status of ['running', 'pending_approval'] as const)
      expect(outcomeOf({ status, error: null, actor: user })).toBeNull()
  })
})

it('durations fall into buckets that cover every deadline', () => {
  expect([0, 5, 6, 10, 600_000].map(durationBucket)).toEqual([0, 0, 1, 1, 17])
  expect(durationBucket(Number.MAX_SAFE_INTEGER)).toBe(18)
})

it('the window is thirty days, today included', () => {
  expect(firstStatisticsDay(new Date('2026-01-30T23:59:59Z'))).toBe('2026-01-01')
  expect(firstStatisticsDay(new Date('2026-03-01T00:00:00Z'))).toBe('2026-01-31')
})

describe('statistics', () => {
  const row = (outcome: OutcomeCount['outcome'], ms: number, count: number, tool_name = 'fs.read'): OutcomeCount => ({
    tool_name,
    outcome,
    duration_bucket: durationBucket(ms),
    count,
  })

  it('sum up by tool, with the p95 of what ran', () => {
    const all = statisticsOf([
      row('succeeded', 10, 90),
      row('failed', 5000, 5),
      row('succeeded', 1000, 5),
      row('denied', 0, 25),
      row('denied', 0, 3, 'git.push'),
    ])
    expect(all.get('fs.read')).toEqual({
      window_days: 30,
      calls: 125,
      succeeded: 95,
      failed: 5,
      denied: 25,
      success_rate: 0.95,
      p95_duration_ms: 1280,
    })
    expect(all.get('git.push')).toMatchObject({ calls: 3, denied: 3, success_rate: null, p95_duration_ms: null })
    expect(all.get('fs.write')).toBeUndefined()
  })

  it('of one call are that call', () => {
    expect(statisticsOf([row('failed', 33, 1)]).get('fs.read')).toMatchObject({ success_rate: 0, p95_duration_ms: 40 })
    expect(statisticsOf([])).toEqual(new Map())
  })
})

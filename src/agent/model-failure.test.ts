import { APICallError } from 'ai'
import { describe, expect, it } from 'vitest'
import { ModelFailure, modelFailure } from './model-failure.ts'
import { retryDelay } from './retry.ts'

const NOW = new Date('2026-01-01T00:00:00Z')

const api = (statusCode: number | undefined, headers: Record<string, string> = {}) =>
  new APICallError({
    message: 'because',
    url: 'http://internal.example',
    requestBodyValues: {},
    responseHeaders: headers,
    ...(statusCode ? { statusCode } : {}),
  })

describe('what a provider throws', () => {
  it.each([
    [429, 'rate_limited', true],
    [529, 'overloaded', true],
    [503, 'overloaded', true],
    [500, 'provider_error', true],
    [408, 'provider_error', true],
    [400, 'rejected', false],
    [401, 'rejected', false],
    [413, 'rejected', false],
  ])('with status %i is %s', (status, kind, retryable) => {
    expect(modelFailure(api(status), false, NOW)).toMatchObject({ kind, retryable })
  })

  it.each([
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '1.5' }, 1500],
    [{ 'retry-after-ms': '250', 'retry-after': '7' }, 250],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Wed, 31 Dec 2025 00:00:30 GMT' }, 0],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': '-5' }, null],
    [{}, null],
  ] as [Record<string, string>, number | null][])('with %j asks for %j ms', (headers, expected) => {
    expect(modelFailure(api(429, headers), false, NOW).retry_after_ms).toBe(expected)
  })

  it('is told apart by its causes when a connection broke', () => {
    const reset = new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code: 'ECONNRESET' }) })
    expect(modelFailure(reset, false, NOW).kind).toBe('unreachable')
    expect(modelFailure(reset, true, NOW).kind).toBe('cut_stream')
    expect(modelFailure(new TypeError('terminated'), true, NOW).kind).toBe('cut_stream')
    expect(modelFailure(new RangeError('a bug'), true, NOW).kind).toBe('invalid_response')
    expect(modelFailure('a string', true, NOW).kind).toBe('invalid_response')
  })

  it('is told with a bounded message that does not name the address', () => {
    const error = new APICallError({
      message: 'y'.repeat(10_000),
      url: 'http://internal.example',
      requestBodyValues: {},
      statusCode: 400,
    })
    const { message } = modelFailure(error, false, NOW)
    expect(message.length).toBeLessThanOrEqual(500)
    expect(message).not.toContain('internal.example')
  })
})

describe('the next try', () => {
  const policy = { max_attempts: 5, base_ms: 1000, max_ms: 4000, random: () => 1 }
  const failure = (retry_after_ms: number | null) => new ModelFailure('rate_limited', '', { retryable: true, retry_after_ms })

  it.each([
    [1, null, 1000],
    [2, null, 2000],
    [3, null, 4000],
    [4, null, 4000],
    [5, null, null],
    [1, 60_000, 60_000],
    [1, 10, 1000],
    [1, 3_600_000, null],
  ])('after try %i, asked to wait for %j ms, comes after %j', (attempt, asked, expected) => {
    expect(retryDelay(policy, attempt, failure(asked))).toBe(expected)
  })

  it('is spread over half of its time', () => {
    expect(retryDelay({ ...policy, random: () => 0 }, 2, failure(null))).toBe(1000)
  })
})

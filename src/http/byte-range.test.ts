import fc from 'fast-check'
import { expect, it } from 'vitest'
import { answerFor, type ByteRequest } from './byte-range.ts'

const ETAG = '"abc"'

it.each([
  [{}, 200],
  [{ range: 'bytes=0-3' }, [0, 3]],
  [{ range: 'bytes=4-' }, [4, 9]],
  [{ range: 'bytes=9-9' }, [9, 9]],
  [{ range: 'bytes=5-999' }, [5, 9]],
  [{ range: 'bytes=-3' }, [7, 9]],
  [{ range: 'bytes=-999' }, [0, 9]],
  [{ range: 'BYTES=0-0' }, [0, 0]],
  [{ range: 'bytes=10-' }, 416],
  [{ range: 'bytes=999999999999999-' }, 416],
  [{ range: 'bytes=-0' }, 416],
  [{ range: 'bytes=3-2' }, 200],
  [{ range: 'bytes=0-1,3-4' }, 200],
  [{ range: 'bytes=' }, 200],
  [{ range: 'bytes=-' }, 200],
  [{ range: 'bytes=a-b' }, 200],
  [{ range: 'lines=1-2' }, 200],
  [{ range: 'bytes=99999999999999999999-' }, 200],
  [{ range: 'bytes=0-3', if_range: '"abc"' }, [0, 3]],
  [{ range: 'bytes=0-3', if_range: '"other"' }, 200],
  [{ range: 'bytes=0-3', if_range: 'W/"abc"' }, 200],
  [{ range: 'bytes=0-3', if_range: 'Sat, 01 Jan 2026 00:00:00 GMT' }, 200],
  [{ if_none_match: '"abc"' }, 304],
  [{ if_none_match: 'W/"abc"' }, 304],
  [{ if_none_match: '"x", "abc"' }, 304],
  [{ if_none_match: '*' }, 304],
  [{ if_none_match: '"x"' }, 200],
  [{ if_none_match: 'abc' }, 200],
  [{ if_none_match: '"abc"', range: 'bytes=99-' }, 304],
] as [ByteRequest, number | [number, number]][])('%j of ten bytes: %j', (request, expected) => {
  const answer = answerFor(request, ETAG, 10)
  if (typeof expected === 'number') expect(answer).toEqual({ status: expected })
  else expect(answer).toEqual({ status: 206, range: { start: expected[0], end: expected[1] } })
})

it.each(['bytes=0-', 'bytes=0-0', 'bytes=-1'])('%s of nothing cannot be had', (range) => {
  expect(answerFor({ range }, ETAG, 0)).toEqual({ status: 416 })
})

it('never asks for a byte that is not there, whatever the header says', () => {
  const header = fc.oneof(
    fc.string(),
    fc.tuple(fc.bigInt(), fc.bigInt()).map(([a, b]) => `bytes=${a}-${b}`),
    fc.tuple(fc.nat(30), fc.option(fc.nat(30))).map(([a, b]) => `bytes=${a}-${b ?? ''}`),
    fc.nat(30).map((n) => `bytes=-${n}`),
  )
  fc.assert(
    fc.property(header, fc.nat(20), (range, size) => {
      const answer = answerFor({ range }, ETAG, size)
      if (answer.status !== 206) return
      const { start, end } = answer.range
      expect(start).toBeGreaterThanOrEqual(0)
      expect(end).toBeGreaterThanOrEqual(start)
      expect(end).toBeLessThan(size)
    }),
    { numRuns: 2000 },
  )
})

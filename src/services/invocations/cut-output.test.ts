import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cutOutput } from './cut-output.ts'

const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value))

describe('cutOutput', () => {
  it('leaves what fits alone', () => {
    const output = { text: 'abc', truncated: false }
    expect(cutOutput(output, 'text', 1000)).toEqual({ output, cut: false })
  })

  it('cuts the primary field first, and says so', () => {
    const output = { other: 'y'.repeat(300), text: 'x'.repeat(200), count: 2, truncated: false }
    const { output: cut, cut: wasCut } = cutOutput(output, 'text', 450)
    expect(wasCut).toBe(true)
    expect(cut).toMatchObject({ other: output.other, count: 2, truncated: true })
    expect(bytes(cut)).toBe(450)
    expect(output.truncated).toBe(false)
  })

  it('cuts the longest other field when the primary one is not enough', () => {
    const { output } = cutOutput({ text: 'x'.repeat(10), a: 'a'.repeat(100), b: 'b'.repeat(500) }, 'text', 200)
    expect(output).toMatchObject({ text: '', a: 'a'.repeat(100) })
    expect(bytes(output)).toBeLessThanOrEqual(200)
  })

  it('cuts lists at an item', () => {
    const { output } = cutOutput({ entries: Array.from({ length: 100 }, (_, i) => ({ path: `file-${i}` })) }, 'entries', 200)
    expect(bytes(output)).toBeLessThanOrEqual(200)
    expect((output as { entries: unknown[] }).entries.at(-1)).toHaveProperty('path')
  })

  it('gives up when nothing can be cut', () => {
    expect(cutOutput({ nested: { text: 'x'.repeat(1000) } }, null, 100)).toEqual({ output: null, cut: true })
  })

  it('never cuts a character in two, and uses the room', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
        fc.integer({ min: 14, max: 100 }),
        (text, limit) => {
          const { output, cut } = cutOutput({ text }, 'text', limit)
          if (!cut) return
          const kept = (output as { text: string }).text
          expect(text.startsWith(kept)).toBe(true)
          expect(kept.isWellFormed()).toBe(text.isWellFormed())
          expect(bytes(output)).toBeLessThanOrEqual(limit)
          const next = [...text.slice(kept.length)][0] ?? ''
          expect(bytes({ text: kept + next })).toBeGreaterThan(limit)
        },
      ),
    )
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Cursor, KeptOutput } from './kept-output.ts'

/** What a reader has seen: bytes with their channel, or null where bytes are missing. */
class Reader {
  readonly #kept: KeptOutput
  readonly #cursor: Cursor
  /** Position in the whole output. */
  position = 0
  gaps = 0
  readonly wrong: string[] = []

  constructor(kept: KeptOutput) {
    this.#kept = kept
    this.#cursor = kept.cursor()
  }

  read(whole: { channel: number; byte: number }[], max: number, pieces: number): void {
    for (let i = 0; i < pieces; i++) {
      const piece = this.#kept.next(this.#cursor, max)
      if (!piece) return
      if ('gap' in piece) {
        this.position += piece.gap
        this.gaps += piece.gap
        continue
      }
      if (piece.data.length === 0 || piece.data.length > max) this.wrong.push(`a piece of ${piece.data.length}`)
      for (const byte of piece.data) {
        const wanted = whole[this.position++]
        if (wanted?.byte !== byte || wanted.channel !== piece.channel) this.wrong.push(`at ${this.position - 1}`)
      }
    }
  }
}

describe('KeptOutput', () => {
  const step = fc.record({
    channel: fc.constantFrom<1 | 2>(1, 2),
    size: fc.oneof(
      { weight: 5, arbitrary: fc.integer({ min: 1, max: 9 }) },
      { weight: 3, arbitrary: fc.integer({ min: 1, max: 3000 }) },
    ),
    max: fc.integer({ min: 1, max: 5000 }),
    pieces: fc.integer({ min: 0, max: 4 }),
  })

  it('gives every reader the bytes in order, with gaps of the right size, in bounded memory', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 300 }), (steps) => {
        // Small bounds, so that dropping begins early.
        const kept = new KeptOutput(8 * 1024, 8 * 1024)
        const whole: { channel: number; byte: number }[] = []
        const live = new Reader(kept)
        const slow = new Reader(kept)
        for (const { channel, size, max, pieces } of steps) {
          const data = Buffer.from(Array.from({ length: size }, (_, i) => (whole.length + i) % 251))
          for (const byte of data) whole.push({ channel, byte })
          kept.append(channel, data)
          live.read(whole, 100_000, 10_000)
          slow.read(whole, max, pieces)
          expect(kept.bytes).toBeLessThanOrEqual(16 * 1024)
        }
        slow.read(whole, 1000, 100_000)
        const late = new Reader(kept)
        late.read(whole, 777, 100_000)
        for (const reader of [live, slow, late]) expect(reader).toMatchObject({ wrong: [], position: whole.length })
        expect(live.gaps).toBe(0)
        kept.forget()
        const after = new Reader(kept)
        after.read(whole, 10, 10)
        expect(after).toMatchObject({ position: whole.length, gaps: whole.length })
        expect(kept.bytes).toBe(0)
      }),
      { numRuns: 100 },
    )
  })

  it('costs bytes, not objects, for a million tiny writes', () => {
    const kept = new KeptOutput()
    for (let i = 0; i < 1_000_000; i++) kept.append(i % 2 === 0 ? 1 : 2, Buffer.from('x'))
    expect(kept.bytes).toBeLessThanOrEqual(8 * 1024 * 1024)
  })
})

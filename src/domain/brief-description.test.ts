import { describe, expect, it } from 'vitest'
import { briefDescription, firstSentence } from './brief-description.ts'

describe('the first sentence', () => {
  it.each([
    ['Reads a file. Cut at max_bytes.', 'Reads a file.'],
    ['Writes a whole file: give all of it.', 'Writes a whole file.'],
    ['Runs .workspace-dist/app with v1.2 of it. More.', 'Runs .workspace-dist/app with v1.2 of it.'],
    ['no sentence at all', 'no sentence at all'],
    ['', ''],
  ])('%s', (description, sentence) => {
    expect(firstSentence(description)).toBe(sentence)
  })
})

describe('a brief description', () => {
  it('is cut at a word, and says that it is', () => {
    expect(briefDescription('Lists what is in a directory. More.', 72)).toBe('Lists what is in a directory.')
    expect(briefDescription('Lists what is in a directory. More.', 20)).toBe('Lists what is in…')
    expect(briefDescription('Lists, what is in a directory.', 12)).toBe('Lists…')
  })

  it('never exceeds its bytes, nor breaks a character', () => {
    for (const text of ['ä'.repeat(100), '日本語の説明 '.repeat(20), '😀'.repeat(50), 'x'.repeat(300)])
      for (let bytes = 4; bytes < 60; bytes++) {
        const brief = briefDescription(text, bytes)
        expect(Buffer.byteLength(brief)).toBeLessThanOrEqual(bytes)
        expect(brief).not.toContain('\uFFFD')
        expect(brief.endsWith('…')).toBe(true)
      }
  })
})

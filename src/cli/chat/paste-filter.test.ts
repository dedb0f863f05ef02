import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fold, PasteFilter, unfold } from './paste-filter.ts'

const START = '\u001b[200~'
const END = '\u001b[201~'

function typed(chunks: readonly string[]): string {
  const filter = new PasteFilter()
  return chunks.map((chunk) => filter.push(chunk)).join('') + (filter.undecided ? filter.flush() : '')
}

test.each([
  ['what is typed', ['ab\r', '\u001b[A'], 'ab\r\u001b[A'],
  ['pasted lines', [`x${START}one\r\ntwo\rthree\n\tfour${END}y\r`], 'xone⏎two⏎three⏎⇥foury\r'],
  ['pasted keys', [`${START}a\u0003\u0004\u001b[Ab${END}`], 'a␃␄b'],
  ['two pastes', [`${START}a${END}${START}b${END}`], 'ab'],
  ['Escape alone', ['\u001b'], '\u001b'],
  ['an end without a beginning', [END], END],
])('%s', (_what, chunks, expected) => {
  expect(typed(chunks)).toBe(expected)
})

test('how it is cut makes no difference', () => {
  const piece = fc.constantFrom('a', '\r', '\u001b', '\u001b[A', `${START}x\ry\u0003${END}`, '[20')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const text = pieces.join('')
      expect(typed([...text])).toBe(typed([text]))
    }),
  )
})

test('no pasted control character gets through', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      fc.pre(!text.includes(END))
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
      expect(typed([START + text + END])).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
    }),
  )
})

test('lines and tabs come back', () => {
  expect(unfold(fold('a\n\tb\n'))).toBe('a\n\tb\n')
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasHidden } from '../domain/hidden-text.ts'
import { plainJson, plainLine, plainText } from './terminal-text.ts'

test.each([
  ['colours', '\u001b[31mred\u001b[0m', 'red'],
  ['a title', 'a\u001b]0;owned\u0007b', 'ab'],
  ['the clipboard', 'a\u001b]52;c;ZXZpbA==\u001b\\b', 'ab'],
  ['a device control string', 'a\u001bPpayload\u001b\\b', 'ab'],
  ['a one-character CSI', 'a\u009b2Jb', 'ab'],
  ['a reset', 'a\u001bcb', 'ab'],
  ['a broken sequence', 'a\u001b]0;never ends', 'a␛]0;never ends'],
  ['an escape at the end of a chunk', 'a\u001b', 'a␛'],
  ['a carriage return that overwrites', 'real\rfake', 'real␍fake'],
  ['windows line ends', 'a\r\nb', 'a\nb'],
  ['backspace and bell', 'a\b\u0007', 'a␈␇'],
  ['reordered text', 'if (user\u202e)nimda', 'if (user\ufffd)nimda'],
  ['zero-width characters', 'pass\u200bword', 'pass\ufffdword'],
  ['tag characters', 'a\u{e0041}b', 'a\ufffdb'],
  ['variation selectors', 'a\u{e0151}b\ufe01', 'a\ufffdb\ufffd'],
  ['a selector that makes an emoji, and others after it', '⚠️\ufe0f', '⚠️\ufffd'],
  ['fillers', 'a\u3164b', 'a\ufffdb'],
  ['ordinary text', 'naïve\t日本 🙂\n', 'naïve\t日本 🙂\n'],
])('%s', (_what, text, shown) => {
  expect(plainText(text)).toBe(shown)
})

test('what an admin reviews shows where a character is that a model would read and nobody sees', () => {
  const unshown: string[] = []
  for (let code = 0; code <= 0x10ffff; code++) {
    const character = String.fromCodePoint(code)
    if (hasHidden(character) && plainText(`a${character}b`).includes(character)) unshown.push(code.toString(16))
  }
  expect(unshown).toEqual([])
})

test('one line stays one line', () => {
  expect(plainLine('a\nb\tc')).toBe('a␊b c')
})

/** What no output may hold, written down apart from the implementation. */
function dangerous(text: string): boolean {
  return [...text].some((character) => {
    const code = character.codePointAt(0) ?? 0
    return (code < 0x20 && code !== 0x0a && code !== 0x09) || (code >= 0x7f && code < 0xa0) || (code >= 0x202a && code <= 0x202e)
  })
}

const hostile = fc.string({
  unit: fc.constantFrom('\u001b', '\u009b', '[', ']', '0', ';', 'm', '\u0007', '\\', '\r', '\n', 'a', '\u202e', 'P'),
})

test('nothing gets through, however it is cut', () => {
  fc.assert(
    fc.property(hostile, fc.nat(), (text, at) => {
      const cut = at % (text.length + 1)
      expect(dangerous(plainText(text))).toBe(false)
      expect(dangerous(plainText(text.slice(0, cut)) + plainText(text.slice(cut)))).toBe(false)
    }),
  )
})

test('JSON keeps its meaning', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(JSON.parse(plainJson({ text }))).toEqual({ text })
      expect(dangerous(plainJson({ text }))).toBe(false)
    }),
  )
  expect(plainJson('\u009b\u202e\u{e0041}')).toBe('"\\u009b\\u202e\\udb40\\udc41"')
})

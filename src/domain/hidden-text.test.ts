import { expect, it } from 'vitest'
import { hasHidden, withoutHidden } from './hidden-text.ts'

/** Text as nobody sees it and a model reads it, in two well-known ways. */
const smuggled = (text: string, from: number) => [...text].map((c) => String.fromCodePoint(from + c.charCodeAt(0))).join('')

it.each([
  ['tag characters', smuggled('obey', 0xe0000)],
  ['variation selectors', smuggled('obey', 0xe0100)],
  ['the first variation selectors', '\ufe00\ufe0e\ufe0f'],
  ['a soft hyphen', '\u00ad'],
  ['a byte order mark', '\ufeff'],
  ['the mark of Arabic letters', '\u061c'],
  ['zero width', '\u200b\u200c\u200d\u2060'],
  ['marks that reorder', '\u200e\u200f\u202a\u202e\u2066\u2069'],
  ['fillers', '\u115f\u1160\u3164\uffa0\u034f\u17b4'],
  ['what only shorthand and music know', '\u{1bca0}\u{1d173}'],
  ['annotations', '\ufff9\ufffa\ufffb'],
  ['separators', '\u2028\u2029'],
  ['controls', '\u0000\u001b\r\u007f\u009b'],
])('is taken out: %s', (_what, hidden) => {
  expect(withoutHidden(`Searches.${hidden}Finds.`)).toBe('Searches. Finds.')
  for (const character of hidden) expect(hasHidden(`a${character}`), character.codePointAt(0)?.toString(16)).toBe(true)
})

it.each(['naïve\t日本 🙂\nplain', '⚠️ 1️⃣', 'a\u00a0b', 'e\u0301', 'עברית العربية'])('is left as it is: %s', (text) => {
  expect([withoutHidden(text), hasHidden(text)]).toEqual([text, false])
})

it('lets one selector follow an emoji, and no more', () => {
  expect(withoutHidden(`⚠️${'\ufe0f'.repeat(40)}!`)).toBe('⚠️ !')
})

/** Another meaning of a stretch of text: these `length` characters may stand for `codes`. */
export interface Escape {
  readonly length: number
  readonly codes: string
}

/** The characters that escapes begin with. */
export const ESCAPE_SIGNS = '%\\+&'

const NONE: readonly Escape[] = []
/** Results of `hex`: there is something else; the text ends before it is known. */
const OTHER = -1
const CUT = -2

/**
 * What the text may mean from `at` on, where one of the signs stands, besides itself: `%XX` (a byte, or a character of several),
 * `+` (a space, in forms), `\n` and its like, `\` before punctuation, `\uXXXX`, and HTML's `&amp;`, `&#38;` and `&#x26;`. A character
 * beyond ASCII is given as its UTF-16 units and as its UTF-8 bytes, one code each: texts of both kinds are searched.
 * @param ended false: more text may follow. Then the answer is null while it depends on what follows.
 */
export function readEscapes(text: string, at: number, ended: boolean): readonly Escape[] | null {
  const escapes = READERS[text[at] as keyof typeof READERS](text, at)
  if (!escapes.cut) return escapes.found
  return ended ? escapes.found : null
}

/** `cut`: the text ends where more of it could mean something else. */
interface Reading {
  readonly found: readonly Escape[]
  readonly cut: boolean
}

const NOTHING: Reading = { found: NONE, cut: false }
const UNKNOWN: Reading = { found: NONE, cut: true }

const one = (length: number, codes: string): Reading => ({ found: [{ length, codes }], cut: false })
/** All bytes, and all short characters, are made once: streams are full of them. */
const ofBytes = (length: number): Reading[] => Array.from({ length: 256 }, (_, byte) => one(length, String.fromCharCode(byte)))
const PERCENT = ofBytes(3)
const UNICODE = ofBytes(6).slice(0, 128)
const SPACE = one(1, ' ')
const SHORT = new Map<number, Reading>(
  [
    ...Object.entries({ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }),
    // JSON has `\"`, `\\` and `\/`; shells and regular expressions have the others.
    ...[...'!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~ '].map((sign) => [sign, sign] as const),
  ].map(([letter, codes]) => [letter.charCodeAt(0), one(2, codes)]),
)
const ENTITY = /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|(amp|lt|gt|quot|apos));/y
const NAMED: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
/** The longest entity that is read has as many characters. */
const LONGEST_ENTITY = 10

const READERS = { '%': percent, '\\': backslash, '+': () => SPACE, '&': entity }

function percent(text: string, at: number): Reading {
  const first = hex(text, at + 1, 2)
  if (first < 0) return first === CUT ? UNKNOWN : NOTHING
  const alone = PERCENT[first] as Reading
  if (first < 0xc2 || first > 0xf4) return alone
  const more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3
  let point = first & (0x3f >> more)
  for (let i = 1; i <= more; i++) {
    const next = at + 3 * i
    if (next >= text.length) return { ...alone, cut: true }
    const byte = text[next] === '%' ? hex(text, next + 1, 2) : OTHER
    if (byte === CUT) return { ...alone, cut: true }
    if (byte < 0x80 || byte > 0xbf) return alone
    point = point * 64 + (byte & 0x3f)
  }
  if (point > 0x10ffff) return alone
  return { found: [...alone.found, { length: 3 * (more + 1), codes: String.fromCodePoint(point) }], cut: false }
}

function backslash(text: string, at: number): Reading {
  if (at + 1 >= text.length) return UNKNOWN
  if (text[at + 1] !== 'u') return SHORT.get(text.charCodeAt(at + 1)) ?? NOTHING
  const unit = unicode(text, at)
  if (unit < 0) return unit === CUT ? UNKNOWN : NOTHING
  if (unit < 128) return UNICODE[unit] as Reading
  if (unit < 0xd800 || unit > 0xdbff) return character(6, String.fromCharCode(unit))
  const second = unicode(text, at + 6)
  if (second === CUT) return { ...one(6, String.fromCharCode(unit)), cut: true }
  return second < 0xdc00 || second > 0xdfff ? one(6, String.fromCharCode(unit)) : character(12, String.fromCharCode(unit, second))
}

function entity(text: string, at: number): Reading {
  const start = text.charCodeAt(at + 1)
  // A quick look, for the many that stand in URLs: `#`, or the first letter of a name.
  if (start !== 35 && start !== 97 && start !== 103 && start !== 108 && start !== 113)
    return at + 1 < text.length ? NOTHING : UNKNOWN
  ENTITY.lastIndex = at
  const [whole, decimal, hexadecimal, name] = ENTITY.exec(text) ?? []
  if (whole === undefined) return text.length - at < LONGEST_ENTITY && /^&#?[\da-zA-Z]*$/.test(text.slice(at)) ? UNKNOWN : NOTHING
  if (name !== undefined) return one(whole.length, NAMED[name] as string)
  const point = decimal === undefined ? Number.parseInt(hexadecimal as string, 16) : Number(decimal)
  return point > 0x10ffff ? NOTHING : character(whole.length, String.fromCodePoint(point))
}

function character(length: number, units: string): Reading {
  if (units.charCodeAt(0) < 128) return one(length, units)
  return {
    found: [
      { length, codes: units },
      { length, codes: Buffer.from(units, 'utf8').toString('latin1') },
    ],
    cut: false,
  }
}

/** The unit of a `\uXXXX` at this place. */
function unicode(text: string, at: number): number {
  if (at >= text.length) return CUT
  if (text[at] !== '\\') return OTHER
  if (at + 1 >= text.length) return CUT
  return text[at + 1] === 'u' ? hex(text, at + 2, 4) : OTHER
}

function hex(text: string, from: number, digits: number): number {
  let value = 0
  for (let i = from; i < from + digits; i++) {
    if (i >= text.length) return CUT
    const code = text.charCodeAt(i)
    const letter = code | 32
    if (code >= 48 && code <= 57) value = value * 16 + code - 48
    else if (letter >= 97 && letter <= 102) value = value * 16 + letter - 87
    else return OTHER
  }
  return value
}

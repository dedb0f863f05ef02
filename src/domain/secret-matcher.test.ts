import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pieces } from '../../test/support/pieces.ts'
import { makeRedactor } from './redaction.ts'

const SECRET = 'wJ"alr\\XU/tn+FE<M>I&K7 dé\u{1f600}\'\n*Key'
const AWS = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'

const json = (value: string) => JSON.stringify(value).slice(1, -1)
const everyUnit = (value: string, digits: (code: number) => string) =>
  value.replace(/[\s\S]/g, (unit) => `\\u${digits(unit.charCodeAt(0)).padStart(4, '0')}`)
const html = (value: string, entities: Record<string, string>) => value.replace(/[<>&"']/g, (sign) => entities[sign] ?? sign)

/** What programs make of a value, named after what does so. */
const ENCODERS: [string, (value: string) => string][] = [
  ['JSON.stringify', json],
  [
    'json.dumps of Python',
    (value) => json(value).replace(/[\u0080-\uffff]/g, (unit) => everyUnit(unit, (code) => code.toString(16))),
  ],
  ['encoding/json of Go', (value) => json(value).replace(/[<>&]/g, (sign) => everyUnit(sign, (code) => code.toString(16)))],
  ['json_encode of PHP', (value) => json(value).replaceAll('/', '\\/')],
  ['every unit in capitals', (value) => everyUnit(value, (code) => code.toString(16).toUpperCase())],
  ['encodeURIComponent', encodeURIComponent],
  ['encodeURI', encodeURI],
  ['new URL(…).href', (value) => new URL(`https://x/${value.replaceAll('\n', '%0a')}`).href.slice('https://x/'.length)],
  ['URLSearchParams', (value) => new URLSearchParams({ value }).toString().slice('value='.length)],
  [
    'urllib.parse.quote of Python',
    (value) => encodeURIComponent(value).replaceAll('%2F', '/').replaceAll("'", '%27').replaceAll('*', '%2A'),
  ],
  ['lower-case hexadecimal', (value) => encodeURIComponent(value).replace(/%../g, (hex) => hex.toLowerCase())],
  ['html.escape of Python', (value) => html(value, { '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;', "'": '&#x27;' })],
  ['html/template of Go', (value) => html(value, { '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&#34;', "'": '&#39;' })],
  ['printf %q of a shell', (value) => value.replace(/[ "'\\<>&*]/g, '\\$&')],
]

describe('a value with characters escaped', () => {
  it.each(ENCODERS)('is found as %s writes it', (_, encode) => {
    for (const secret of [SECRET, AWS]) {
      // A path in a URL has no place for what would end it.
      const value = encode.toString().includes('new URL') ? secret.replaceAll('\\', '') : secret
      const encoded = encode(value)
      const redactor = makeRedactor({ KEY: value })
      expect(redactor.text(`a=${encoded}.`)).toBe('a=[secret:KEY].')
      expect(redactor.find({ a: [encoded] })).toEqual(['KEY'])
      const bytes = redactor.bytes()
      expect(Buffer.concat([bytes.push(Buffer.from(`é${encoded}.`)), bytes.end()]).toString()).toBe('é[secret:KEY].')
    }
  })

  it.each([
    ['wJalrXUtnFEMI/K7MDENG%2BbPxRfiCYEXAMPLEKEY', 'quote of Python'],
    ['wJalrXUtnFEMI%2fK7MDENG+bPxRfiCYEXAMPLEKEY', 'one of two'],
    ['\\u0077%4Aa&#108;rXUtnFEMI\\/K7MDENG&#x2B;bPxRfiCYEXAMPLEKEY', 'a mixture'],
  ])('%s', (encoded) => {
    expect(makeRedactor({ KEY: AWS }).text(`(${encoded})`)).toBe('([secret:KEY])')
  })

  it.each([
    ['after a backslash', 'nimbus-2000', 'C:\\nimbus-2000', 'C:\\[secret:KEY]'],
    ['after a per cent sign', 'abc-def', '100%abc-def', '100%[secret:KEY]'],
    ['that looks escaped itself', 'x%41%42\\u0043y', 'x%41%42\\u0043y', '[secret:KEY]'],
    ['that looks escaped itself, half escaped', 'x%41%42\\u0043y', 'x%2541%42\\\\u0043y', '[secret:KEY]'],
    ['of signs alone', '%%%\\\\\\+++&&&', '%25%%25\\\\\\%5c\\+\\u002b+&amp;&&', '[secret:KEY]'],
    ['that begins again within itself', 'ababab+x', 'ababababab%2bx', 'abab[secret:KEY]'],
    ['twice, side by side', 'ab+cd/e', 'ab%2bcd/eab+cd\\/e', '[secret:KEY][secret:KEY]'],
  ])('is found %s', (_, value, text, redacted) => {
    expect(makeRedactor({ KEY: value }).text(text)).toBe(redacted)
  })

  it.each(['a', '\\', '%', 'ab'])('that is a long run of %j leaves less than itself, in time', (unit) => {
    const value = unit.repeat(500)
    const escaped = [...unit].map((sign) => everyUnit(sign, (code) => code.toString(16))).join('')
    for (const text of [escaped.repeat(500), escaped.repeat(2000), `${unit.repeat(400)}${escaped.repeat(1000)}`]) {
      const redacted = makeRedactor({ KEY: value }).text(text)
      expect(redacted).toContain('[secret:KEY]')
      for (const rest of redacted.split('[secret:KEY]')) expect(rest.length).toBeLessThan(escaped.length * 500)
    }
  })

  it('is found in its base64 form, escaped for a URL', () => {
    const value = '>>>???>>>'
    const encoded = encodeURIComponent(btoa(value))
    expect(encoded).toContain('%2')
    expect(makeRedactor({ KEY: value }).text(encoded)).toBe('[secret:KEY]')
  })

  it('is found in the lines of a value, and in values of any length', () => {
    const key = Array.from({ length: 3000 }, (_, i) => `line/${i}+of<the>key`)
    const redactor = makeRedactor({ KEY: key.join('\n') })
    expect(redactor.text(`(${encodeURIComponent(key.join('\n'))})`)).toBe('([secret:KEY])')
    expect(redactor.text(encodeURI(`x ${key[77]} y`))).toBe('x%20[secret:KEY]%20y')
  })
})

/** Every way to write a character, the character itself first. */
function writings(point: string): string[] {
  const percent = encodeURIComponent(point)
  const bytes = percent.startsWith('%') ? percent : `%${point.charCodeAt(0).toString(16)}`
  const unicode = everyUnit(point, (code) => code.toString(16))
  const short = json(point)
  const number = point.codePointAt(0) as number
  return [
    point,
    bytes.toUpperCase(),
    bytes.toLowerCase(),
    unicode,
    unicode.replace(/[a-f]/g, (digit) => digit.toUpperCase()),
    ...(short === point ? [] : [short]),
    ...(point === '/' ? ['\\/'] : []),
    ...(point === ' ' ? ['+'] : []),
    ...(point === '&' ? ['&amp;'] : point === '<' ? ['&lt;'] : []),
    `&#${number};`,
    `&#x${number.toString(16)};`,
  ]
}

const character = (alphabet: string) => fc.constantFrom(...alphabet)
const LETTERS = 'abu25/"<\n\té語\u{1f600} '
const SIGNS = '%\\+&#;'
const secrets = (alphabet: string) =>
  fc.array(character(alphabet), { minLength: 6, maxLength: 14 }).filter((points) => points.join('').trim().length >= 6)
/** A value, and how each of its characters is written. */
const written = (alphabet: string) =>
  secrets(alphabet).chain((points) =>
    fc.tuple(fc.constant(points), fc.tuple(...points.map((point) => fc.constantFrom(...writings(point))))),
  )
const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 60 })

describe('values, characters, escapes and cuts at random', () => {
  const before = fc.constantFrom('', 'x', '\\', '\\\\', '%', '100%2', '&', '&#3', '\\u00', 'é', '\u{1f600}', '\n')

  it('leave nothing of a value', () => {
    fc.assert(
      fc.property(written(LETTERS + SIGNS), before, sizes, ([points, parts], lead, lengths) => {
        const redactor = makeRedactor({ KEY: points.join('') })
        const text = `${lead}${parts.join('')}zz`
        const whole = redactor.text(text)
        // What stands before may be taken for the beginning of an escape too; what comes after cannot.
        expect(whole.endsWith('[secret:KEY]zz'), whole).toBe(true)
        expect(lead.startsWith(whole.slice(0, -'[secret:KEY]zz'.length)), whole).toBe(true)
        expect(redactor.find(text)).toEqual(['KEY'])

        const stream = redactor.stream()
        let streamed = ''
        for (const chunk of pieces(text, lengths)) {
          streamed += stream.push(chunk)
          expect(whole.startsWith(streamed)).toBe(true)
        }
        expect(streamed + stream.end()).toBe(whole)

        const bytes = redactor.bytes()
        const out = pieces(Buffer.from(text), lengths).map((chunk) => bytes.push(Buffer.from(chunk)))
        expect(Buffer.concat([...out, bytes.end()]).toString()).toBe(whole)
      }),
      { numRuns: 1500 },
    )
  })

  it('change nothing of what only looks like one', () => {
    fc.assert(
      fc.property(written(LETTERS), character('xyz'), fc.nat(), sizes, ([points, parts], other, where, lengths) => {
        const value = points.join('')
        // Lines of a value are secrets too: then one of them may be whole.
        fc.pre(!value.includes('\n') && value.trim() === value)
        const text = parts.with(where % parts.length, other).join('')
        const redactor = makeRedactor({ KEY: value })
        expect(redactor.text(text)).toBe(text)
        expect(redactor.find(text)).toEqual([])
        const bytes = redactor.bytes()
        const out = pieces(Buffer.from(text), lengths).map((chunk) => bytes.push(Buffer.from(chunk)))
        expect(Buffer.concat([...out, bytes.end()])).toEqual(Buffer.from(text))
      }),
      { numRuns: 1000 },
    )
  })

  it('give back text and bytes without a value as they came, whatever signs they are made of', () => {
    const redactor = makeRedactor({ KEY: SECRET, OTHER: AWS })
    const noise = fc.array(fc.constantFrom(...'%\\u+&#;x2Bde89fa0\ud83d\ude00é wJ"', '%C3', '%f0%9f', '\\ud83d', '&amp'), {
      maxLength: 40,
    })
    fc.assert(
      fc.property(noise, sizes, (parts, lengths) => {
        const text = parts.join('')
        const stream = redactor.stream()
        expect(
          pieces(text, lengths)
            .map((chunk) => stream.push(chunk))
            .join('') + stream.end(),
        ).toBe(text)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('what a stream holds back', () => {
  it.each([
    ['hunter%2', 'hunter%2', '1 and'],
    ['progress 100%', '%', '\n'],
    ['a \\', '\\', 'n'],
    ['a \\ud83d', '\\ud83d', ' '],
    ['a %C3', '%C3', ' '],
    ['x & y', '', ''],
    ['50% of it', '', ''],
    ['C:\\windows', '', ''],
    ['?a=1&b=2', '', ''],
  ])('%j: %j', (text, held, next) => {
    const stream = makeRedactor({ KEY: 'hunter!!' }).stream()
    expect(stream.push(text)).toBe(text.slice(0, text.length - held.length))
    const rest = stream.push(next) + stream.end()
    expect(rest).toBe(held + next)
  })

  it('a value is replaced with its last character, however that is written', () => {
    for (const last of ['!', '%21', '\\u0021', '&#33;', '\\!']) {
      const stream = makeRedactor({ KEY: 'hunter2!' }).stream()
      expect(stream.push(`hunter\\u0032${last}`)).toBe('[secret:KEY]')
      expect(stream.end()).toBe('')
    }
  })

  it('a value that ends in a sign is known at the latest with the end', () => {
    const stream = makeRedactor({ KEY: 'hunter2\\' }).stream()
    const out = stream.push('x hunter2\\')
    expect(out + stream.end()).toBe('x [secret:KEY]')
    expect([...stream.found]).toEqual(['KEY'])
  })
})

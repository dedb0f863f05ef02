import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pieces } from '../../test/support/pieces.ts'
import { makeRedactor } from './redaction.ts'

const PEM = `-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7
abc
VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDu
-----END PRIVATE KEY-----`

describe('makeRedactor', () => {
  it.each([
    { what: 'the value', secrets: { KEY: 'hunter2!' }, text: 'pw=hunter2! ok', redacted: 'pw=[secret:KEY] ok' },
    { what: 'nothing under 6 characters', secrets: { PIN: '12345' }, text: 'pin 12345', redacted: 'pin 12345' },
    { what: 'adjacent values', secrets: { KEY: 'abcdef' }, text: 'abcdefabcdef', redacted: '[secret:KEY][secret:KEY]' },
    {
      what: 'the longest value first',
      secrets: { A: 'abcdef', B: 'abcdefgh' },
      text: 'abcdefgh abcdef',
      redacted: '[secret:B] [secret:A]',
    },
    {
      what: 'overlapping values whole',
      secrets: { A: 'abcdef', B: 'defghijk' },
      text: '<abcdefghijk>',
      redacted: '<[secret:B]>',
    },
    {
      what: 'a value inside a longer near miss',
      secrets: { A: 'bcdefg', B: 'abcdefgX' },
      text: 'abcdefgh',
      redacted: 'a[secret:A]h',
    },
    {
      what: 'the JSON form',
      secrets: { KEY: 'a"b\\c\td' },
      text: JSON.stringify({ k: 'a"b\\c\td' }),
      redacted: '{"k":"[secret:KEY]"}',
    },
    {
      what: 'the ASCII JSON form',
      secrets: { KEY: 'clé-secrète' },
      text: '"cl\\u00e9-secr\\u00e8te"',
      redacted: '"[secret:KEY]"',
    },
    {
      what: 'the URL form',
      secrets: { KEY: 'p@ss w0rd/' },
      text: 'https://u:p%40ss%20w0rd%2F@h',
      redacted: 'https://u:[secret:KEY]@h',
    },
    { what: 'the lower-case URL form', secrets: { KEY: 'p@ss/w0rd/' }, text: 'x=p%40ss%2fw0rd%2f', redacted: 'x=[secret:KEY]' },
    { what: 'the form encoding', secrets: { KEY: 'p@ss w0rd' }, text: 'x=p%40ss+w0rd', redacted: 'x=[secret:KEY]' },
    { what: 'base64', secrets: { KEY: 'hunter2!' }, text: `is ${btoa('hunter2!')}.`, redacted: 'is [secret:KEY].' },
    {
      what: 'a value with the name of the placeholder',
      secrets: { A: 'secret', B: 'swordfish' },
      text: 'swordfish',
      redacted: '[secret:B]',
    },
    {
      what: 'a placeholder as it is',
      secrets: { A: 'secret', B: 'swordfish' },
      text: '[secret:B] secret',
      redacted: '[secret:B] [secret:A]',
    },
    { what: 'an empty table', secrets: {}, text: 'anything', redacted: 'anything' },
    { what: 'a value without its final newline', secrets: { KEY: 'hunter2!\n' }, text: 'hunter2!', redacted: '[secret:KEY]' },
  ])('redacts $what', ({ secrets, text, redacted }) => {
    expect(makeRedactor(secrets as Record<string, string>).text(text)).toBe(redacted)
  })

  it('redacts a multi-line value line by line, and leaves what all such values share', () => {
    const redactor = makeRedactor({ KEY: PEM })
    expect(redactor.text(`x${PEM}y`)).toBe('x[secret:KEY]y')
    const [, first, short, second] = PEM.split('\n')
    expect(redactor.text(`1: ${first}\r\n2: ${short}\r\n3: ${second}`)).toBe('1: [secret:KEY]\r\n2: abc\r\n3: [secret:KEY]')
    expect(redactor.text('-----BEGIN PRIVATE KEY-----')).toBe('-----BEGIN PRIVATE KEY-----')
  })

  it.each([0, 1, 2, 3, 4])('finds the value in base64 of something with %i bytes before it', (before) => {
    const value = 'correct horse battery'
    const encoded = Buffer.from(`${'x'.repeat(before)}${value}yy`).toString('base64')
    const redacted = makeRedactor({ KEY: value }).text(encoded)
    expect(redacted).toContain('[secret:KEY]')
    // What is left standing around it holds less than one byte of the value at each end.
    expect(redacted.replace('[secret:KEY]', '').length).toBeLessThanOrEqual(Math.ceil((before * 4) / 3) + 1 + 5)
  })

  it('redacts keys and strings of JSON values, at any depth', () => {
    expect(
      makeRedactor({ KEY: 'hunter2!' }).value({ a: ['x hunter2!', 1, null, true], 'k hunter2!': { b: 'hunter2!' } }),
    ).toEqual({
      a: ['x [secret:KEY]', 1, null, true],
      'k [secret:KEY]': { b: '[secret:KEY]' },
    })
  })

  it('finds values and placeholders in JSON values', () => {
    const redactor = makeRedactor({ KEY: 'hunter2!', PIN: '1', CODE: '123456' })
    expect(redactor.find({ a: ['nothing', 1] })).toEqual([])
    expect(redactor.find({ a: [{ b: 'x hunter2!' }] })).toEqual(['KEY'])
    expect(redactor.find({ 'hunter2!': 1 })).toEqual(['KEY'])
    expect(redactor.find(['write [secret:KEY] and [secret:PIN]'])).toEqual(['KEY', 'PIN'])
    expect(redactor.find({ n: 123456 })).toEqual(['CODE'])
    expect(redactor.find(btoa('hunter2!'))).toEqual(['KEY'])
  })

  it('takes numbers for what they say', () => {
    const secrets = { PIN: '483920', CENTS: '1234.50', CARD: '4111111111111111999', ZEROS: '0000000', KEY: 'a\n-654321\n' }
    const redactor = makeRedactor(secrets)
    const value = { structured: { pin: 483920, minus: [-483920], near: 4839201 }, cents: 1234.5, key: 654321, zero: 0, one: 1 }
    expect(redactor.value(value)).toEqual({
      structured: { pin: '[secret:PIN]', minus: ['[secret:PIN]'], near: 4839201 },
      cents: '[secret:CENTS]',
      key: '[secret:KEY]',
      zero: 0,
      one: 1,
    })
    // JSON has no more than the first 16 digits of it.
    const card = JSON.parse('{"card": 4111111111111111999}') as { card: number }
    expect(redactor.value(card)).toEqual({ card: '[secret:CARD]' })
    expect([redactor.find(value), redactor.find(card)]).toEqual([['CENTS', 'KEY', 'PIN'], ['CARD']])
  })

  it('redacts bytes that are no text, and changes nothing else', () => {
    const redactor = makeRedactor({ KEY: 'clé-secrète' })
    const noise = Buffer.from([0, 255, 254, 128, 10])
    const stream = redactor.bytes()
    const out = Buffer.concat([
      stream.push(Buffer.concat([noise, Buffer.from('clé-sec')])),
      stream.push(Buffer.from('rète')),
      stream.push(noise),
      stream.end(),
    ])
    expect(out).toEqual(Buffer.concat([noise, Buffer.from('[secret:KEY]'), noise]))
    expect([...stream.found]).toEqual(['KEY'])
  })

  it('finds long values in text, JSON and base64, without taking much memory for them', () => {
    const long = Array.from({ length: 4000 }, (_, i) => `line ${i} "of" the key`).join('\n')
    const redactor = makeRedactor({ KEY: long })
    expect(redactor.text(`<${long}>`)).toBe('<[secret:KEY]>')
    expect(redactor.text(JSON.stringify({ long }))).toBe('{"long":"[secret:KEY]"}')
    expect(redactor.text(btoa(long))).toBe('[secret:KEY]')
    expect(redactor.find({ a: 'line 77 "of" the key' })).toEqual(['KEY'])
  })

  const secretArbitrary = fc.string({ minLength: 6, maxLength: 12, unit: fc.constantFrom('a', 'b', 'c', '/', '"', ' ', 'é') })
  const texts = (secrets: string[]) =>
    fc.array(
      fc.oneof(
        fc.constantFrom(...secrets),
        fc.string({ maxLength: 8, unit: fc.constantFrom('a', 'b', 'c', '/', '"', ' ', 'é') }),
      ),
      { maxLength: 12 },
    )
  const scenario = fc
    .array(secretArbitrary, { minLength: 1, maxLength: 4 })
    .chain((secrets) => fc.tuple(fc.constant(secrets), texts(secrets), fc.array(fc.nat(10), { maxLength: 40 })))

  it('leaves no value standing, and a stream gives the same as the whole, however it is cut', () => {
    fc.assert(
      fc.property(scenario, ([values, parts, sizes]) => {
        const secrets = Object.fromEntries(values.map((value, i) => [`S${i}`, value]))
        const redactor = makeRedactor(secrets)
        const text = parts.join('')
        const whole = redactor.text(text)
        for (const rest of whole.split(/\[secret:S\d\]/)) for (const value of values) expect(rest).not.toContain(value)
        const stream = redactor.stream()
        let streamed = ''
        for (const chunk of pieces(text, sizes)) {
          streamed += stream.push(chunk)
          // What was given out is final: a prefix of the answer, so no beginning of a value ever left early.
          expect(whole.startsWith(streamed)).toBe(true)
        }
        expect(streamed + stream.end()).toBe(whole)
        expect(redactor.text(whole)).toBe(whole)
      }),
      { numRuns: 500 },
    )
  })

  it('cuts as slice does, and leaves no piece of a value at the ends', () => {
    const value = 'SECRET/VALUE é'
    const redactor = makeRedactor({ K: value })
    const texts = fc.array(
      fc.oneof(fc.constantFrom(value, encodeURIComponent(value)), fc.string({ unit: fc.constantFrom('x', 'y') })),
    )
    fc.assert(
      fc.property(
        texts,
        fc.integer({ min: -40, max: 40 }),
        fc.option(fc.integer({ min: -40, max: 40 }), { nil: undefined }),
        (parts, start, end) => {
          const text = parts.join('')
          const shown = redactor.excerpt(text, start, end)
          expect(shown.replaceAll('[secret:K]', '')).toMatch(/^[xy]*$/)
          const plain = text.replaceAll(/[^xy]/g, '')
          expect(redactor.excerpt(plain, start, end)).toBe(plain.slice(start, end))
        },
      ),
      { numRuns: 1000 },
    )
    expect(redactor.excerpt(`<${value}>`, 0, 5)).toBe('<')
    expect(redactor.excerpt(`<${value}>`, -3)).toBe('[secret:K]>')
    expect(redactor.excerpt(`<${value}>${value}`, 3, 18)).toBe('[secret:K]>')
    expect(redactor.excerpt(`<${value}`, 0)).toBe('<[secret:K]')
    // What only looks like a beginning is one nowhere but where the text is cut.
    expect([redactor.excerpt('xSEC', 0), redactor.excerpt('xSECx', 0, 4)]).toEqual(['xSEC', 'x'])
  })

  it('gives out at once what cannot be the beginning of a value', () => {
    const stream = makeRedactor({ KEY: 'hunter2!' }).stream()
    expect(stream.push('nothing here hun')).toBe('nothing here ')
    expect(stream.push('gry')).toBe('hungry')
    expect(stream.push('hunter2')).toBe('')
    expect(stream.push('!')).toBe('[secret:KEY]')
    expect(stream.end()).toBe('')
  })
})

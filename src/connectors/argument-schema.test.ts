import { describe, expect, it } from 'vitest'
import { argumentSchema } from './argument-schema.ts'

const object = (properties: object, rest: object = {}) => ({ type: 'object', properties, ...rest })
const takes = (schema: Record<string, unknown>, args: unknown) => argumentSchema(schema).input.safeParse(args)

describe("a server's schema of arguments", () => {
  it('is checked as far as it is plain', () => {
    const schema = object(
      {
        text: { type: 'string', minLength: 1, maxLength: 3 },
        count: { type: ['integer', 'null'], minimum: 1 },
        kind: { enum: ['a', 'b'] },
        list: { type: 'array', items: { type: 'object', properties: { x: { type: 'number' } }, required: ['x'] }, maxItems: 2 },
        either: { oneOf: [{ type: 'string' }, { type: 'boolean' }] },
        shared: { $ref: '#/$defs/shared' },
        level: { type: 'string', default: 'low' },
      },
      { required: ['text'], $defs: { shared: { type: 'boolean' } } },
    )
    expect(
      takes(schema, { text: 'abc', count: null, kind: 'a', list: [{ x: 1.5 }], either: true, shared: true }).data,
    ).toMatchObject({
      level: 'low',
    })
    for (const wrong of [
      {},
      { text: 'abcd' },
      { text: 'a', count: 0 },
      { text: 'a', kind: 'c' },
      { text: 'a', list: [{}] },
      { text: 'a', list: [{ x: 1 }, { x: 1 }, { x: 1 }] },
      { text: 'a', either: 1 },
      { text: 'a', shared: 'yes' },
      { text: 'a', unknown: 1 },
    ])
      expect(takes(schema, wrong).success, JSON.stringify(wrong)).toBe(false)
  })

  it('takes members that it does not name only where it says so', () => {
    expect(takes(object({ a: {} }), { b: 1 }).success).toBe(false)
    expect(takes(object({ a: {} }, { additionalProperties: true }), { b: 1 }).success).toBe(true)
    expect(takes({ type: 'object' }, { b: 1 }).success).toBe(true)
    expect(takes({ type: 'object', additionalProperties: false }, { b: 1 }).success).toBe(false)
  })

  it('runs no pattern of a stranger', () => {
    const schema = object({ a: { type: 'string', pattern: '^(a+)+$', format: 'email' } })
    expect(takes(schema, { a: `${'a'.repeat(40)}!` }).success).toBe(true)
  })

  it.each([
    ['a reference to elsewhere', { $ref: 'https://evil.example/schema.json' }],
    ['a reference to nothing', { $ref: '#/$defs/none' }],
    ['a reference to itself', { $ref: '#/$defs/loop' }],
    ['a type that is none', { type: 'hologram' }],
    ['what is not plain', { not: { type: 'string' }, if: {} }],
    ['no schema', 'x'],
  ])('takes anything for %s', (_what, member) => {
    const schema = object({ a: member }, { $defs: { loop: { $ref: '#/$defs/loop' } } })
    for (const value of [1, 'x', null, { deep: [1] }]) expect(takes(schema, { a: value }).success).toBe(true)
  })

  it('ends where it refers to itself further down', () => {
    const schema = object(
      { tree: { $ref: '#/$defs/tree' } },
      {
        $defs: { tree: { type: 'object', properties: { next: { $ref: '#/$defs/tree' } } } },
      },
    )
    expect(takes(schema, { tree: { next: { next: {} } } }).success).toBe(true)
    expect(takes(schema, { tree: { next: 1 } }).success).toBe(false)
  })

  it.each([
    ['of a list', { type: 'array' }],
    ['without a type', {}],
    ['with more places than anybody means', object(Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`p${i}`, {}])))],
    [
      'that grows by referring',
      object(
        { a: { $ref: '#/$defs/d0' } },
        {
          $defs: Object.fromEntries(
            Array.from({ length: 12 }, (_, i) => [
              `d${i}`,
              object(Object.fromEntries(Array.from({ length: 8 }, (_, j) => [`m${j}`, { $ref: `#/$defs/d${i + 1}` }]))),
            ]),
          ),
        },
      ),
    ],
    ['with a member whose name is not as it is seen', object({ 'query\u{e0141}': { type: 'string' } })],
    ['with a value that is not as it is seen', object({ a: { enum: ['on', 'o\u200bn'] } })],
    ['with one value that is not as it is seen', object({ a: { const: 'x\ufe01' } })],
    ['with a default that is not as it is seen', object({ a: { default: { deep: ['\u{e0041}'] } } })],
    [
      'that grows by referring to what is long',
      object(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`p${i}`, { $ref: '#/$defs/long' }])), {
        $defs: { long: { default: 'x'.repeat(100_000) } },
      }),
    ],
    ['with a member that no object may have', JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}}}')],
  ])('is no use %s', (_what, schema) => {
    expect(() => argumentSchema(schema)).toThrow()
  })
})

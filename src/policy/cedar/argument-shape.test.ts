import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { cedarType, cedarValue, recordShape } from './argument-shape.ts'

const schema = z.toJSONSchema(
  z.object({
    path: z.string(),
    depth: z.int().default(3),
    fraction: z.number().optional(),
    flags: z.array(z.string()).default([]),
    maybe: z.string().nullable(),
    either: z.union([z.string(), z.int()]).optional(),
    free: z.record(z.string(), z.string()).optional(),
    nested: z.object({ on: z.boolean(), level: z.enum(['a', 'b']).optional() }).optional(),
    pairs: z.array(z.object({ key: z.string() })).optional(),
  }),
  { io: 'input' },
) as Record<string, unknown>
const shape = recordShape(schema)
if (!shape) throw new Error('no shape')

describe('arguments as Cedar types them', () => {
  it('has what Cedar can say, and nothing else', () => {
    const string = { type: 'String' }
    expect(cedarType(shape)).toEqual({
      type: 'Record',
      attributes: {
        path: { ...string, required: true },
        depth: { type: 'Long', required: true },
        flags: { type: 'Set', element: string, required: true },
        maybe: { ...string, required: false },
        nested: {
          type: 'Record',
          required: false,
          attributes: { on: { type: 'Boolean', required: true }, level: { ...string, required: false } },
        },
        pairs: {
          type: 'Set',
          required: false,
          element: { type: 'Record', attributes: { key: { ...string, required: true } } },
        },
      },
    })
  })

  const given = { path: 'a', depth: 1, flags: [] }
  it.each([
    ['what fits', { ...given, maybe: null, fraction: 0.5 }, given],
    ['keys that nobody named', { ...given, __entity: { type: 'Role', id: 'x' }, constructor: 1 }, given],
    ['an own __proto__', JSON.parse('{"path":"a","depth":1,"flags":[],"__proto__":{"maybe":"x"}}'), given],
    ['an inherited member', Object.assign(Object.create({ maybe: 'x' }), given), given],
    [
      'an entity where a record is expected',
      { ...given, nested: { on: true, __entity: { type: 'Role', id: 'platform_admin' }, __extn: { fn: 'ip', arg: 'x' } } },
      { ...given, nested: { on: true } },
    ],
  ])('keeps only what the shape names: %s', (_, args, expected) => {
    expect(cedarValue(shape, args, 'args')).toEqual(expected)
  })

  it.each([
    ['a missing value', { depth: 1, flags: [] }],
    ['an object for a text', { ...given, path: { __entity: { type: 'Role', id: 'x' } } }],
    ['a fraction', { ...given, depth: 0.5 }],
    ['a number too large', { ...given, depth: 1e300 }],
    ['not a number', { ...given, depth: Number.NaN }],
    ['a text for a list', { ...given, flags: 'x' }],
    ['a list with holes', { ...given, flags: [undefined] }],
    ['a list for an object', { ...given, nested: [] }],
    ['null', null],
  ])('refuses %s', (_, args) => {
    expect(() => cedarValue(shape, args, 'args')).toThrow(/was expected/)
  })

  it('does not walk deeper than its shape', () => {
    let deep: unknown = 'x'
    for (let i = 0; i < 100_000; i++) deep = { deep }
    expect(cedarValue(shape, { ...given, free: deep, fraction: deep }, 'args')).toEqual(given)
  })
})

import { z } from 'zod'
import { hasHidden, withoutHidden } from '../domain/hidden-text.ts'

/** Of one schema: places, alternatives of one, members of one, values of an enumeration. */
const MOST_NODES = 1000
const DEEPEST = 12
const MOST_DESCRIPTION = 2000
/** Characters of one schema's names and values, as often as they are referred to. */
const MOST_CHARACTERS = 256 * 1024

const TYPES = new Set(['string', 'integer', 'number', 'boolean', 'array', 'object', 'null'])
const NUMBERS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'minLength', 'maxLength', 'minItems', 'maxItems']

type Json = Record<string, unknown>

/** The schema cannot be used: why. */
export class UnusableSchema extends Error {}

/**
 * A stranger's JSON Schema as a schema of ours for a tool's arguments. Only what is plain is taken over: types, members, lists,
 * enumerations, bounds. A pattern (which can take for ever), a reference out of the schema, and whatever else is not understood
 * become "anything" there: the server checks its arguments itself. Members that the schema does not name are refused, unless it says
 * that it takes any, or names none.
 * @throws UnusableSchema
 */
export function argumentSchema(schema: Json): { input: z.ZodObject; open: boolean } {
  if (schema['type'] !== 'object') throw new UnusableSchema('the schema of its arguments is not of an object')
  const plain = new Simplifier(schema).simplify(schema, 0)
  const properties = (plain['properties'] ?? {}) as Json
  const input = fromJson(plain)
  if (!(input instanceof z.ZodObject)) throw new UnusableSchema('the schema of its arguments is not of an object')
  const more = schema['additionalProperties']
  const open = more === true || isObject(more) || (more === undefined && Object.keys(properties).length === 0)
  return { input: open ? input.loose() : input.strict(), open }
}

function fromJson(schema: Json): z.ZodType {
  try {
    return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0])
  } catch (error) {
    throw new UnusableSchema(`the schema of its arguments cannot be read: ${(error as Error).message}`)
  }
}

class Simplifier {
  readonly #root: Json
  #nodes = 0
  #characters = 0

  constructor(root: Json) {
    this.#root = root
  }

  simplify(given: unknown, depth: number): Json {
    if (++this.#nodes > MOST_NODES) throw new UnusableSchema(`the schema of its arguments has more than ${MOST_NODES} places`)
    const schema = this.#resolve(given)
    if (schema === null || depth > DEEPEST) return {}
    const described =
      typeof schema['description'] === 'string'
        ? { description: withoutHidden(schema['description']).slice(0, MOST_DESCRIPTION) }
        : {}
    const fallback = schema['default'] === undefined ? {} : { default: this.#seen(schema['default']) }
    return { ...this.#shape(schema, depth), ...fallback, ...described }
  }

  #shape(schema: Json, depth: number): Json {
    const { enum: values, const: value, type } = schema
    if (Array.isArray(values) && values.length > 0 && values.every(isScalar)) {
      this.#nodes += values.length
      return { enum: this.#seen(values) }
    }
    if (value !== undefined && isScalar(value)) return { const: this.#seen(value) }
    const variants = schema['anyOf'] ?? schema['oneOf']
    if (Array.isArray(variants) && variants.length > 0)
      return { anyOf: variants.map((variant) => this.simplify(variant, depth + 1)) }
    if (Array.isArray(type) && type.length > 0)
      return { anyOf: type.map((each) => this.#shape({ ...schema, type: each }, depth)) }
    if (typeof type !== 'string' || !TYPES.has(type)) return {}
    const bounds = Object.fromEntries(
      NUMBERS.flatMap((key) => (Number.isFinite(schema[key]) ? [[key, schema[key]] as const] : [])),
    )
    if (type === 'array')
      return { type, ...bounds, ...(isObject(schema['items']) && { items: this.simplify(schema['items'], depth + 1) }) }
    if (type !== 'object') return { type, ...bounds }
    return { type, ...this.#members(schema, depth) }
  }

  #members(schema: Json, depth: number): Json {
    const properties = isObject(schema['properties']) ? Object.entries(schema['properties']) : []
    if (properties.some(([name]) => name === '__proto__'))
      throw new UnusableSchema('the schema of its arguments names a member that no object may have')
    this.#seen(properties.map(([name]) => name))
    const names = new Set(properties.map(([name]) => name))
    const required = Array.isArray(schema['required']) ? schema['required'].filter((name) => names.has(name as string)) : []
    return {
      properties: Object.fromEntries(properties.map(([name, member]) => [name, this.simplify(member, depth + 1)])),
      required,
      ...(schema['additionalProperties'] === false && { additionalProperties: false }),
    }
  }

  /** What is not as it is seen can be neither shown nor changed, for its server would not know it. @throws UnusableSchema */
  #seen<T>(given: T): T {
    const text = JSON.stringify(given)
    this.#characters += text.length
    if (this.#characters > MOST_CHARACTERS)
      throw new UnusableSchema(`the schema of its arguments has names and values of more than ${MOST_CHARACTERS / 1024} KiB`)
    if (hasHidden(text))
      throw new UnusableSchema('the schema of its arguments has a name or a value with characters that nobody sees')
    return given
  }

  /** A local reference, one step at a time; null: anything goes there. */
  #resolve(given: unknown): Json | null {
    let schema = given
    for (let steps = 0; isObject(schema) && schema['$ref'] !== undefined; steps++) {
      const found = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(String(schema['$ref']))
      const group = found ? this.#root[found[1] as string] : undefined
      const name = found?.[2] as string
      if (!isObject(group) || !Object.hasOwn(group, name) || steps > 5) return null
      schema = group[name]
    }
    return isObject(schema) ? schema : null
  }
}

function isScalar(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value)
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Arguments as Cedar can type them. What it cannot (fractions, unions, free-form objects) is not shown to policies at all. */
export type ArgumentShape =
  | { kind: 'String' | 'Long' | 'Boolean' }
  | { kind: 'Set'; element: ArgumentShape }
  | { kind: 'Record'; fields: Record<string, { shape: ArgumentShape; required: boolean }> }

export type CedarType =
  | { type: 'String' | 'Long' | 'Boolean' }
  | { type: 'Set'; element: CedarType }
  | { type: 'Record'; attributes: Record<string, CedarType & { required: boolean }> }
  | { type: 'Entity'; name: string }

export type CedarValue = string | number | boolean | CedarValue[] | { [name: string]: CedarValue }

/** A value is not what the tool's schema says. The call is refused: a policy must not judge something else than what runs. */
export class UnfitArgument extends Error {
  constructor(where: string, expected: string) {
    super(`${where}: ${expected} was expected`)
    this.name = 'UnfitArgument'
  }
}

/** The shape of a JSON Schema as zod writes it; null: Cedar has no type for it. */
export function shapeOf(schema: unknown): ArgumentShape | null {
  if (!isObject(schema)) return null
  const variants = schema['anyOf']
  if (Array.isArray(variants)) return single(variants.filter((variant) => !isNull(variant)).map(shapeOf))
  const type = schema['type']
  if (Array.isArray(type)) {
    const types = type.filter((each) => each !== 'null')
    return types.length === 1 ? shapeOf({ ...schema, type: types[0] }) : null
  }
  if (type === 'string') return { kind: 'String' }
  if (type === 'integer') return { kind: 'Long' }
  if (type === 'boolean') return { kind: 'Boolean' }
  if (type === 'array') {
    const element = shapeOf(schema['items'])
    return element && { kind: 'Set', element }
  }
  return type === 'object' ? recordShape(schema) : null
}

/** An object with named members. A member with a default is always there once the arguments were parsed. */
export function recordShape(schema: Record<string, unknown>): Extract<ArgumentShape, { kind: 'Record' }> | null {
  const properties = schema['properties']
  if (!isObject(properties)) return null
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  const fields: Record<string, { shape: ArgumentShape; required: boolean }> = Object.create(null)
  for (const [name, member] of Object.entries(properties)) {
    const shape = name.startsWith('__') ? null : shapeOf(member)
    if (shape) fields[name] = { shape, required: !nullable(member) && (required.includes(name) || hasDefault(member)) }
  }
  return { kind: 'Record', fields }
}

export function cedarType(shape: ArgumentShape): CedarType {
  if (shape.kind === 'Set') return { type: 'Set', element: cedarType(shape.element) }
  if (shape.kind !== 'Record') return { type: shape.kind }
  const attributes = Object.entries(shape.fields).map(([name, field]) => [
    name,
    { ...cedarType(field.shape), required: field.required },
  ])
  return { type: 'Record', attributes: Object.fromEntries(attributes) }
}

/**
 * The part of a value that its shape names. What the shape does not name is never looked at, so that no key of the caller's
 * choosing (`__entity`, `__proto__`) means anything.
 * @throws UnfitArgument
 */
export function cedarValue(shape: ArgumentShape, value: unknown, where: string): CedarValue {
  switch (shape.kind) {
    case 'String':
      if (typeof value !== 'string') throw new UnfitArgument(where, 'a text')
      return value
    case 'Boolean':
      if (typeof value !== 'boolean') throw new UnfitArgument(where, 'true or false')
      return value
    case 'Long':
      if (!Number.isSafeInteger(value)) throw new UnfitArgument(where, 'a whole number')
      return value as number
    case 'Set':
      if (!Array.isArray(value)) throw new UnfitArgument(where, 'a list')
      return value.map((item, index) => cedarValue(shape.element, item, `${where}[${index}]`))
    case 'Record': {
      if (!isObject(value)) throw new UnfitArgument(where, 'an object')
      const record: { [name: string]: CedarValue } = {}
      for (const [name, field] of Object.entries(shape.fields)) {
        const member = Object.hasOwn(value, name) ? value[name] : undefined
        if (member !== undefined && member !== null) record[name] = cedarValue(field.shape, member, `${where}.${name}`)
        else if (field.required) throw new UnfitArgument(`${where}.${name}`, 'a value')
      }
      return record
    }
  }
}

function single(shapes: (ArgumentShape | null)[]): ArgumentShape | null {
  const [first] = shapes
  return first && shapes.every((shape) => JSON.stringify(shape) === JSON.stringify(first)) ? first : null
}

function nullable(schema: unknown): boolean {
  if (!isObject(schema)) return false
  const { anyOf, type } = schema
  return (Array.isArray(anyOf) && anyOf.some(isNull)) || (Array.isArray(type) && type.includes('null'))
}

function hasDefault(schema: unknown): boolean {
  return isObject(schema) && schema['default'] !== undefined && schema['default'] !== null
}

function isNull(schema: unknown): boolean {
  return isObject(schema) && schema['type'] === 'null'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** T without `undefined` as a value of its optional fields, down through plain objects. */
export type Defined<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [Key in keyof T]: Defined<Exclude<T[Key], undefined>> }
    : T

/**
 * Leaves out fields that hold `undefined`, down through plain objects: a parsed request says "absent" so, the services by the
 * field's absence.
 */
export function definedFields<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, isPlain(value) ? definedFields(value) : value]),
  ) as Defined<T>
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

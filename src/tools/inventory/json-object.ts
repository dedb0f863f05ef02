/**
 * JSON that anybody wrote, as maps: a key like `__proto__` is a key like any other, and nothing is inherited.
 * Null: it is no JSON, or no object.
 */
export type JsonMap = ReadonlyMap<string, unknown>

export function parseJsonMap(text: string): JsonMap | null {
  try {
    return asMap(JSON.parse(text))
  } catch {
    // The caller says which file it was.
    return null
  }
}

/** The members of an object. Null: it is none. */
export function asMap(value: unknown): JsonMap | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  return new Map(Object.entries(value))
}

/**
 * The strings of an argument that a tool declared to be a path, a ref, a patch or a list of those. An absent one has none.
 * Throws on anything else: an argument that policy does not understand is refused, not passed.
 */
export function strings(args: Record<string, unknown>, field: string): string[] {
  const value = Object.hasOwn(args, field) ? args[field] : undefined
  if (value === undefined) return []
  const values: unknown[] = Array.isArray(value) ? value : [value]
  return values.map((item) => {
    if (typeof item !== 'string') throw new UnexpectedArgument(field)
    return item
  })
}

/** Policy cannot judge this argument. */
export class UnexpectedArgument extends Error {
  constructor(field: string) {
    super(`${field}: a text, or a list of texts, was expected`)
    this.name = 'UnexpectedArgument'
  }
}

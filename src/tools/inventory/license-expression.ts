/** An SPDX licence expression (SPDX specification, annex D), without what `+` and `LicenseRef-` would add to the identifiers. */
export type LicenseExpression = { license: string } | { all: LicenseExpression[] } | { any: LicenseExpression[] }

const TOKEN = /\s*(\(|\)|[A-Za-z0-9][A-Za-z0-9.+-]*)/y
const MOST_TOKENS = 100

/** Null: this is no expression ("SEE LICENSE IN LICENSE", a licence's whole name). Pure. */
export function parseLicense(text: string): LicenseExpression | null {
  const tokens = tokenize(text.trim())
  if (!tokens || tokens.length === 0) return null
  let at = 0
  const takeIf = (word: string): boolean => {
    if (tokens[at]?.toUpperCase() !== word) return false
    at++
    return true
  }
  const single = (): LicenseExpression | null => {
    if (takeIf('(')) {
      const inner = either()
      return inner && takeIf(')') ? inner : null
    }
    const name = tokens[at]
    if (name === undefined || /^(?:\(|\)|AND|OR|WITH)$/i.test(name)) return null
    at++
    if (!takeIf('WITH')) return { license: name }
    const exception = tokens[at++]
    return exception === undefined || /^[()]$/.test(exception) ? null : { license: `${name} WITH ${exception}` }
  }
  const both = (): LicenseExpression | null => joined('AND', single, (all) => ({ all }))
  const either = (): LicenseExpression | null => joined('OR', both, (any) => ({ any }))
  const joined = (
    word: string,
    part: () => LicenseExpression | null,
    combine: (parts: LicenseExpression[]) => LicenseExpression,
  ): LicenseExpression | null => {
    const parts: LicenseExpression[] = []
    do {
      const next = part()
      if (!next) return null
      parts.push(next)
    } while (takeIf(word))
    return parts.length === 1 ? (parts[0] ?? null) : combine(parts)
  }
  const parsed = either()
  return at === tokens.length ? parsed : null
}

function tokenize(text: string): string[] | null {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const found = TOKEN.exec(text)
    if (!found || tokens.length >= MOST_TOKENS) return null
    tokens.push(found[1] as string)
  }
  return tokens
}

/** May it be used, if these licences may? One of `any` is enough, each of `all` must do. Pure. */
export function satisfies(expression: LicenseExpression, accepts: (license: string) => boolean): boolean {
  if ('license' in expression) return accepts(expression.license)
  if ('all' in expression) return expression.all.every((each) => satisfies(each, accepts))
  return expression.any.some((each) => satisfies(each, accepts))
}

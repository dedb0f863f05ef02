export const SECRET_KINDS = ['aws_access_key', 'private_key', 'assigned_secret'] as const

/** One kind of secret: how ripgrep finds lines, and what on such a line is the secret. */
interface SecretRule {
  name: (typeof SECRET_KINDS)[number]
  /** Rust syntax, for ripgrep. */
  search: string
  /** The same for the line that host read. Group `secret` is what must not be shown; without it nothing on the line is. */
  match: RegExp
}

const ASSIGNED = '(?:api[_-]?key|secret|token|passw(?:or)?d|private[_-]?key|access[_-]?key|client[_-]?secret|credentials?)'

const BETWEEN = '["\'`]?\\s{0,4}(?::=|=>|=|:)\\s{0,4}'
const VALUE = '[A-Za-z0-9_./+=~-]{8,}'

const PRIVATE_KEY = /-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----/

const RULES: SecretRule[] = [
  {
    name: 'aws_access_key',
    search: '\\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\\b',
    match: /\b(?:AKIA|ASIA|ABIA|ACCA)(?<secret>[0-9A-Z]{16})\b/,
  },
  {
    name: 'private_key',
    search: '-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----',
    match: PRIVATE_KEY,
  },
  {
    name: 'assigned_secret',
    search: `(?i)${ASSIGNED}${BETWEEN}["'\`]?${VALUE}`,
    // Of a quoted value everything is hidden, of another one up to the next blank.
    match: new RegExp(`${ASSIGNED}${BETWEEN}(?:["'\`](?<secret>${VALUE}[^"'\`]*)|(?<secret>${VALUE}[^\\s"'\`]*))`, 'i'),
  },
]

/** For ripgrep: any of them. */
export const SEARCH = RULES.map((rule) => `(?:${rule.search})`).join('|')

/** Characters of a line that are shown. */
const SHOWN = 160
/** Anything as long and as dense as this may be a secret that no rule knows, beside one that a rule does. */
const DENSE = /[A-Za-z0-9+/_~-]{20,}=*/g

/**
 * What a person needs to find the line again, without the secret on it. Null: no rule matches it, so that nothing is said of it.
 * Pure.
 * @param shownLine the line as far as it may be shown
 */
export function redactedSnippet(line: string, shownLine: string = line): { rule: SecretRule['name']; snippet: string } | null {
  const rule = RULES.find(({ match }) =>
    [...line.matchAll(everywhere(match))].some((found) => !isPlaceholder(found.groups?.['secret'])),
  )
  if (!rule) return null
  // Behind the header of a key there may be the key, in a source that holds it on one line.
  const header = PRIVATE_KEY.exec(shownLine)
  const before = header ? shownLine.slice(0, header.index) : shownLine
  const shown = RULES.reduce(hide, before).replace(DENSE, mask) + (header?.[0] ?? '')
  return { rule: rule.name, snippet: shown.trim().slice(0, SHOWN) }
}

function hide(line: string, { match }: SecretRule): string {
  return line.replace(everywhere(match), (...found) => {
    const [whole] = found as [string]
    const secret = (found.at(-1) as Record<string, string> | undefined)?.['secret']
    return typeof secret === 'string' ? whole.slice(0, whole.length - secret.length) + mask(secret) : whole
  })
}

function everywhere(pattern: RegExp): RegExp {
  return new RegExp(pattern.source, `${pattern.flags}g`)
}

function mask(secret: string): string {
  return `[${secret.length} characters hidden]`
}

/** References and examples: `token = process.env.TOKEN`, `password: changeme`. */
function isPlaceholder(secret: string | undefined): boolean {
  return (
    secret !== undefined &&
    /^(?:process\.env|os\.environ|env\.|example|changeme|placeholder|xxxx|your[_-]|<|null$|undefined$)/i.test(secret)
  )
}

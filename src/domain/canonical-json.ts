import { createHash } from 'node:crypto'

/**
 * RFC 8785 (JCS): keys sorted by UTF-16 code units, no white space, ECMAScript number and string forms, which are what
 * `JSON.stringify` prints. Throws on what JSON cannot hold (NaN, Infinity, bigint, undefined, functions); a member whose value is
 * undefined is left out, as in JSON.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`)
    return JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`
  if (typeof value === 'object') {
    const members = Object.entries(value as Record<string, unknown>)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`)
    return `{${members.join(',')}}`
  }
  throw new TypeError(`a ${typeof value} has no JSON form`)
}

/** SHA-256 in lower-case hex. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** What names one exact call: SHA-256 over canonical `{session_id, tool_name, args}`. */
export function argsDigest(sessionId: string, toolName: string, args: unknown): string {
  return sha256(canonicalJson({ session_id: sessionId, tool_name: toolName, args }))
}

import { randomBytes } from 'node:crypto'

export type IdPrefix = 'ses' | 'inv' | 'apr' | 'art' | 'msg' | 'evt' | 'trn' | 'tok' | 'req' | 'crv'

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** A prefixed ULID (48 bits of time in ms, 80 random bits, Crockford base 32 in lower case): ids sort by the time they were made. */
export function newId(prefix: IdPrefix, now: number = Date.now()): string {
  let time = ''
  let rest = now
  for (let i = 0; i < 10; i++) {
    time = ALPHABET[rest % 32] + time
    rest = Math.floor(rest / 32)
  }
  // 256 is a multiple of 32, so taking a byte modulo 32 is uniform.
  const random = Array.from(randomBytes(16), (byte) => ALPHABET[byte % 32]).join('')
  return `${prefix}_${time}${random}`
}

/** What a caller may choose as a session's id. It becomes a directory's name, so nothing else is accepted. */
export const SESSION_ID = /^[a-z0-9][a-z0-9_-]{0,63}$/

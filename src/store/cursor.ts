import { errors } from '../domain/errors.ts'

/** Where a page ended: the sort key of its last row. */
export type CursorKey = (string | number)[]

export function encodeCursor(key: CursorKey): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

/**
 * Reads a cursor that `encodeCursor` made.
 * @param shape the types of the key's parts
 * @throws CloisterError `invalid_argument` for anything else
 */
export function decodeCursor(cursor: string, shape: readonly ('string' | 'number')[]): CursorKey {
  let key: unknown
  try {
    key = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    throw invalid()
  }
  const fits = Array.isArray(key) && key.length === shape.length && shape.every((type, i) => typeof key[i] === type)
  if (!fits || encodeCursor(key as CursorKey) !== cursor) throw invalid()
  return key as CursorKey
}

function invalid() {
  return errors.invalidArgument('the cursor is not one that this server gave: start again without one', [
    { path: 'cursor', reason: 'must be the next_cursor of an earlier page' },
  ])
}

import type { CursorKey } from './cursor.ts'
import { decodeCursor } from './cursor.ts'
import { toPage } from './page.ts'
import { checkPageLimit } from './page-limit.ts'
import type { Page, PageRequest } from './store.ts'

/**
 * A page of a list that is small by its nature (users, tokens, what one call left), in the order of its keys. What comes or goes
 * between two pages shifts none of the others.
 * @param keyOf texts that tell entries apart, as many for each
 * @throws CloisterError `invalid_argument` for a limit or a cursor that cannot be
 */
export function pageOfList<T>(
  items: readonly T[],
  keyOf: (item: T) => [string, string],
  { limit, cursor }: PageRequest,
  order: 'ascending' | 'descending' = 'ascending',
): Page<T> {
  checkPageLimit(limit)
  const sign = order === 'ascending' ? 1 : -1
  const compare = (a: CursorKey, b: CursorKey) => {
    const part = a.findIndex((value, i) => value !== b[i])
    return part === -1 ? 0 : sign * ((a[part] as string) < (b[part] as string) ? -1 : 1)
  }
  const after = cursor === null ? null : decodeCursor(cursor, ['string', 'string'])
  const rest = items
    .filter((item) => after === null || compare(keyOf(item), after) > 0)
    .toSorted((a, b) => compare(keyOf(a), keyOf(b)))
  return toPage(rest, limit, keyOf, (item) => item)
}

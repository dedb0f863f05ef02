import type { CursorKey } from './cursor.ts'
import { encodeCursor } from './cursor.ts'
import type { Page } from './store.ts'

/**
 * Makes a page of rows that were asked for with one more than `limit`: the last one only tells that there is more.
 * @param keyOf the row's sort key, which the next page starts after
 */
export function toPage<Row, T>(rows: Row[], limit: number, keyOf: (row: Row) => CursorKey, render: (row: Row) => T): Page<T> {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return {
    items: shown.map(render),
    next_cursor: rows.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null,
  }
}

/** What a request for bytes is answered with. `range`: first and last byte, inclusive. */
export type ByteAnswer =
  | { status: 200 }
  | { status: 206; range: { start: number; end: number } }
  | { status: 304 }
  | { status: 416 }

export interface ByteRequest {
  range?: string | undefined
  if_range?: string | undefined
  if_none_match?: string | undefined
}

/** A number of more digits is behind every end. */
const RANGE = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/i

/**
 * What the headers of a GET ask for (RFC 9110, 13.1.2, 13.1.5 and 14.2). A range that is malformed, has another unit or is more
 * than one is no range: the answer is the whole. Pure.
 * @param etag strong, with its quotes
 * @param size bytes of the whole
 */
export function answerFor({ range, if_range, if_none_match }: ByteRequest, etag: string, size: number): ByteAnswer {
  if (if_none_match !== undefined && matches(if_none_match, etag)) return { status: 304 }
  const asked = range === undefined ? null : RANGE.exec(range.trim())
  // The bytes do not change, so a date that `If-Range` may hold as well says nothing: only the tag counts.
  if (!asked || (if_range !== undefined && if_range.trim() !== etag)) return { status: 200 }
  const [, first, last, suffix] = asked
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size)
    return length === 0 ? { status: 416 } : { status: 206, range: { start: size - length, end: size - 1 } }
  }
  const start = Number(first)
  const end = last === '' ? size - 1 : Number(last)
  if (last !== '' && end < start) return { status: 200 }
  return start >= size ? { status: 416 } : { status: 206, range: { start, end: Math.min(end, size - 1) } }
}

/** Weak comparison, as `If-None-Match` asks for. */
function matches(list: string, etag: string): boolean {
  const tags = list.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes(etag) || list.trim() === '*'
}

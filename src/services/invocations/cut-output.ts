/**
 * Shortens an output until its JSON has at most `limitBytes`: first the field that the tool names, then the longest others.
 * Texts are cut on a character boundary, lists at an item. A boolean field `truncated` becomes true. Null: it cannot be made to
 * fit. Pure; what is given is not changed.
 */
export function cutOutput(
  output: Record<string, unknown>,
  primary: string | null,
  limitBytes: number,
): { output: Record<string, unknown> | null; cut: boolean } {
  if (jsonBytes(output) <= limitBytes) return { output, cut: false }
  let shortened: Record<string, unknown> =
    typeof output['truncated'] === 'boolean' ? { ...output, truncated: true } : { ...output }
  for (const field of cuttableFields(output, primary)) {
    const value = shortened[field] as string | unknown[]
    const room = limitBytes - (jsonBytes(shortened) - jsonBytes(value))
    shortened = { ...shortened, [field]: typeof value === 'string' ? cutText(value, room) : cutList(value, room) }
    if (jsonBytes(shortened) <= limitBytes) return { output: shortened, cut: true }
  }
  return { output: null, cut: true }
}

/** The primary field, then the other texts and lists, longest first. */
function cuttableFields(output: Record<string, unknown>, primary: string | null): string[] {
  const fields = Object.keys(output).filter((field) => typeof output[field] === 'string' || Array.isArray(output[field]))
  const size = new Map(fields.map((field) => [field, field === primary ? Number.POSITIVE_INFINITY : jsonBytes(output[field])]))
  return fields.sort((a, b) => (size.get(b) ?? 0) - (size.get(a) ?? 0))
}

/** The longest beginning whose JSON form has at most `room` bytes. Never half of a surrogate pair. */
function cutText(text: string, room: number): string {
  const upTo = (n: number) => {
    const last = text.charCodeAt(n - 1)
    return text.slice(0, n < text.length && last >= 0xd800 && last <= 0xdbff ? n - 1 : n)
  }
  return upTo(longest(text.length, (n) => jsonBytes(upTo(n)) <= room))
}

function cutList(list: unknown[], room: number): unknown[] {
  return list.slice(
    0,
    longest(list.length, (n) => jsonBytes(list.slice(0, n)) <= room),
  )
}

/** The largest n up to `most` that fits, where everything below what fits fits as well; 0 if none does. */
function longest(most: number, fits: (n: number) => boolean): number {
  let low = 0
  let high = most
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (fits(middle)) low = middle
    else high = middle - 1
  }
  return low
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '')
}

/**
 * The text that these bytes are, with a byte order mark if there is one, so that the bytes can be had back. Null: they are no UTF-8. Pure.
 * @param cut the bytes are the beginning of something longer: a character that is not whole at their end is left off
 */
export function decodeUtf8(bytes: Uint8Array, cut = false): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes, { stream: cut })
  } catch {
    return null
  }
}

import { ToolError } from '../../domain/errors.ts'
import { decodeUtf8 } from '../../domain/utf8.ts'

/**
 * The text that these bytes are, or null if they are not UTF-8 text (a NUL byte counts as binary, as for git). `cut`: the bytes
 * are the beginning of something longer, so a character that is cut at their end is left off.
 */
export function decodeText(bytes: Buffer, cut: boolean): { text: string; bytes: number } | null {
  const whole = cut ? bytes.subarray(0, characterBoundary(bytes)) : bytes
  if (whole.includes(0)) return null
  const text = decodeUtf8(whole)
  return text === null ? null : { text, bytes: whole.length }
}

/** Where the last character that is whole ends. */
function characterBoundary(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number
    if (byte < 0x80) break
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
      return back < needed ? bytes.length - back : bytes.length
    }
  }
  return bytes.length
}

/** @throws ToolError invalid_argument */
export function decodeBase64(content: string): Buffer {
  const compact = content.replace(/[\r\n]/g, '')
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact) || compact.length % 4 !== 0)
    throw new ToolError(
      'invalid_argument',
      'content is not base64 (standard alphabet, with padding); send encoding "utf8" for plain text',
    )
  return Buffer.from(compact, 'base64')
}

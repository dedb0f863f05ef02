import type { ToolSandbox } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { shownPath } from '../workspace-path.ts'
import { decodeText } from './file-text.ts'

/** Host gives at most this much of a file at a time. */
const CHUNK = 1024 * 1024

/**
 * A text file as a whole, read piece by piece. `sha256` only for files of one piece.
 * @throws ToolError not_found; invalid_argument for what is no UTF-8 text, or larger than `limit` bytes
 */
export async function readWholeText(
  sandbox: ToolSandbox,
  path: string,
  limit: number,
): Promise<{ text: string; sha256: string | null }> {
  const first = await sandbox.read(path, { max_bytes: Math.min(CHUNK, limit) })
  if (first.size_bytes > limit)
    throw new ToolError(
      'invalid_argument',
      `${shownPath(path)} has ${first.size_bytes} bytes; at most ${limit} can be handled: use fs.search`,
    )
  const pieces = [first.content]
  for (let at = first.content.length; at < first.size_bytes; ) {
    const { content } = await sandbox.read(path, { max_bytes: CHUNK, offset: at })
    // It became shorter meanwhile.
    if (content.length === 0) break
    pieces.push(content)
    at += content.length
  }
  const decoded = decodeText(Buffer.concat(pieces), false)
  if (!decoded) throw new ToolError('invalid_argument', `${shownPath(path)} is not UTF-8 text: use fs.read, which gives base64`)
  return { text: decoded.text, sha256: first.sha256 }
}

/** Lines with their ends. A last line without one counts; an empty text has none. */
export function linesOf(text: string): string[] {
  return text === '' ? [] : text.split(/(?<=\n)/)
}

import { posix } from 'node:path'
import { z } from 'zod'
import type { ToolSandbox } from '../../catalog/define-tool.ts'
import { shownPath } from '../workspace-path.ts'

/** Host gives at most this much of a file at a time. */
const CHUNK = 1024 * 1024

const MOST = 10 * CHUNK

/** The schema of a `max_bytes` argument. @param standard the default, in bytes */
export function maxBytesArgument(standard: number) {
  return z.int().min(1024).max(MOST).default(standard).describe('At most so many bytes. 1 KiB to 10 MiB.')
}

/**
 * A part of a file of the workspace, from its beginning or from `offset`, read piece by piece.
 * @throws ToolError not_found; invalid_argument for a directory
 */
export async function readBytes(
  sandbox: ToolSandbox,
  path: string,
  maxBytes: number,
  offset = 0,
): Promise<{ content: Buffer; truncated: boolean }> {
  const pieces: Buffer[] = []
  let read = 0
  for (;;) {
    const { content, size_bytes } = await sandbox.read(path, {
      max_bytes: Math.min(CHUNK, maxBytes - read),
      offset: offset + read,
    })
    pieces.push(content)
    read += content.length
    if (content.length === 0 || offset + read >= size_bytes) return { content: Buffer.concat(pieces), truncated: false }
    if (read >= maxBytes) return { content: Buffer.concat(pieces), truncated: true }
  }
}

/** The last component of a path. */
export function baseName(path: string): string {
  return posix.basename(shownPath(path))
}

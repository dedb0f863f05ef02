import { createHash } from 'node:crypto'
import { closeSync, fstatSync, readSync } from 'node:fs'
import type { Fields } from '../fields.ts'
import { attempt, lstatPlace, openPlace, openRegular, realScope } from '../safe-path.ts'
import type { SessionRoot } from '../session-root.ts'
import type { ReadResult, StatResult } from '../wire.ts'
import { describe } from './describe.ts'

/** The answer is JSON in memory on both sides; more than this is for /files/content. */
const MAX_READ_BYTES = 16 * 1024 * 1024

export function readFile(root: SessionRoot, fields: Fields): ReadResult {
  const scope = realScope(root, fields.scope())
  const maxBytes = fields.integer('max_bytes', 0, MAX_READ_BYTES)
  const offset = fields.optional('offset', (name) => fields.integer(name, 0, Number.MAX_SAFE_INTEGER)) ?? 0
  const { fd } = openRegular(scope)
  try {
    const content = attempt(scope.asked, () => readUpTo(fd, offset, maxBytes))
    // Asked after reading, so that a file that grows meanwhile is not taken for read whole.
    const size = fstatSync(fd).size
    const whole = offset === 0 && content.length === size
    return {
      content_base64: content.toString('base64'),
      size_bytes: size,
      sha256: whole ? createHash('sha256').update(content).digest('hex') : null,
    }
  } finally {
    closeSync(fd)
  }
}

function readUpTo(fd: number, offset: number, maxBytes: number): Buffer {
  const room = Math.max(0, Math.min(maxBytes, fstatSync(fd).size - offset))
  const buffer = Buffer.allocUnsafe(room)
  let length = 0
  while (length < room) {
    const read = readSync(fd, buffer, length, room - length, offset + length)
    if (read === 0) break
    length += read
  }
  return buffer.subarray(0, length)
}

export function statFile(root: SessionRoot, fields: Fields): StatResult {
  const asked = fields.scope()
  const scope = realScope(root, asked)
  let place: ReturnType<typeof openPlace>
  try {
    place = openPlace(scope, { writing: false })
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'not_found' || error.code === 'not_a_directory'))
      return { entry: null }
    throw error
  }
  try {
    const stats = lstatPlace(place)
    return { entry: stats ? describe(asked.path, stats) : null }
  } finally {
    closeSync(place.directory)
  }
}

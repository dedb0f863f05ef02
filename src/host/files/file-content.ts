import { closeSync, createReadStream } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Fields } from '../fields.ts'
import { HostFailure } from '../host-failure.ts'
import { openPlace, openRegular, realScope } from '../safe-path.ts'
import type { SessionRoot } from '../session-root.ts'
import type { WriteResult } from '../wire.ts'
import { replaceable, TemporaryFile } from './atomic-file.ts'

const MAX_UPLOAD_BYTES = 1024 * 1024 * 1024

/** Streams a file's bytes, exactly as many as its size was when it was opened; a file that shrinks meanwhile cuts the connection. */
export async function download(root: SessionRoot, query: Fields, response: ServerResponse): Promise<void> {
  const { fd, stats } = openRegular(realScope(root, query.scope()))
  const headers = { 'content-type': 'application/octet-stream', 'content-length': stats.size, 'x-cloister-size': stats.size }
  if (stats.size === 0) {
    closeSync(fd)
    response.writeHead(200, headers).end()
    return
  }
  response.writeHead(200, headers)
  const source = createReadStream('', { fd, start: 0, end: stats.size - 1, highWaterMark: 256 * 1024 })
  try {
    await pipeline(source, response)
  } catch {
    // The reader went away, or the file is shorter now: the cut tells the reader, there is nobody else to tell.
    response.destroy()
  }
}

/** The caller's connection was cut in the middle: nothing was written, and the same id may be sent again. */
export class UploadCut extends Error {}

/** Streams the body to a temporary file and renames it. */
export async function upload(root: SessionRoot, query: Fields, request: IncomingMessage): Promise<WriteResult> {
  const scope = realScope(root, query.scope())
  const place = openPlace(scope, { writing: true, createParents: query.boolean('create_parents'), followLast: true })
  try {
    replaceable(place)
    const file = new TemporaryFile(place)
    try {
      try {
        for await (const chunk of request) {
          if (file.bytes + (chunk as Buffer).length > MAX_UPLOAD_BYTES)
            throw new HostFailure('too_large', `at most ${MAX_UPLOAD_BYTES} bytes can be uploaded`)
          file.write(chunk as Buffer)
        }
      } catch (error) {
        if (error instanceof HostFailure) throw error
        throw new UploadCut('the upload was cut', { cause: error })
      }
      if (!request.complete) throw new UploadCut('the upload was cut')
      const old = replaceable(place)
      const sha256 = file.commit(old ? old.mode & 0o777 : 0o644, false)
      return { bytes_written: file.bytes, sha256, created: old === null, replayed: false }
    } finally {
      file.discard()
    }
  } finally {
    closeSync(place.directory)
  }
}

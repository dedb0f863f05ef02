import type { Socket } from 'node:net'
import { type ApiErrorCode, HTTP_STATUS } from '../../domain/errors.ts'
import { newId } from '../../domain/ids.ts'

/** Answers what Node could not parse as HTTP, in the one shape of errors. There is no request object to speak of. */
export function malformedRequests(error: NodeJS.ErrnoException, socket: Socket): void {
  // The peer is gone: nobody reads an answer.
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW'
  const code: ApiErrorCode = tooLarge ? 'payload_too_large' : 'invalid_argument'
  const message = tooLarge ? 'the headers are too large' : 'this is not a well-formed HTTP request'
  const id = newId('req')
  const body = JSON.stringify({ error: { code, message, details: {}, request_id: id } })
  socket.end(
    [
      `HTTP/1.1 ${HTTP_STATUS[code]} ${tooLarge ? 'Payload Too Large' : 'Bad Request'}`,
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      `x-request-id: ${id}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}

import type { IncomingMessage } from 'node:http'
import { newId } from '../../domain/ids.ts'
import type { App } from '../app-type.ts'

/** What a caller may choose as a request id: it ends in logs, so nothing that could forge a line. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** The caller's `x-request-id` if it is well formed, else a new one. */
export function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : newId('req')
}

/** Every answer says its request id, so that it can be found in the log. */
export function requestIds(app: App): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
}

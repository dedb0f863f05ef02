import type { IncomingMessage } from 'node:http'
import { HostFailure } from './host-failure.ts'

/** Room for 16 MiB of content in base64 and the fields around it. */
const MAX_BODY_BYTES = 24 * 1024 * 1024

export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    if (bytes > MAX_BODY_BYTES) throw new HostFailure('too_large', `a request body has at most ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk as Buffer)
  }
  return parseJson(Buffer.concat(chunks).toString('utf8'), 'the body')
}

export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new HostFailure('invalid_argument', `${what} is not JSON`)
  }
}

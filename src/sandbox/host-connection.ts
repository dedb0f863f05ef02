import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { finished } from 'node:stream/promises'
import type { z } from 'zod'
import { HostError, SandboxLost } from './sandbox-errors.ts'
import { hostErrorBody } from './wire-schemas.ts'

export interface HostAddress {
  socketPath: string
  token: string
  /** Lease epoch of this server. */
  epoch: number
}

/** A JSON answer holds at most 16 MiB of content in base64, or 100,000 directory entries. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024

export interface HostRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: unknown
  stream?: NodeJS.ReadableStream
  /** Until the answer's headers are there, and between two pieces of it. */
  timeoutMs: number
}

/** HTTP to one host, over a unix socket that is kept open. Throws `SandboxLost` when host is gone, silent or talks nonsense. */
export class HostConnection {
  readonly #address: HostAddress
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 16 })
  /**
   * For streamed bodies: each on a connection of its own, which is not closed with the answer either, because host may answer while
   * the body is still being sent.
   */
  readonly #streams = new Agent({ keepAlive: true, maxSockets: 64, maxFreeSockets: 0 })

  constructor(address: HostAddress) {
    this.#address = address
  }

  /** Closes idle and busy connections. */
  close(): void {
    this.#agent.destroy()
    this.#streams.destroy()
  }

  async json<T extends z.ZodType>(request: HostRequest, schema: T): Promise<z.output<T>> {
    const response = await this.open(request)
    const body = await this.#readAll(response)
    const parsed = schema.safeParse(parseJson(body))
    if (!parsed.success) throw new SandboxLost(`host's answer to ${request.path} is not what it should be`, parsed.error)
    return parsed.data
  }

  /** The answer to read from, once its status is 200. Throws `HostError` for a refusal. */
  async open(request: HostRequest): Promise<IncomingMessage> {
    let response: IncomingMessage
    try {
      response = await this.#send(request)
    } catch (error) {
      // A kept connection can be closed by the other end just as it is used again; every operation has an id, so again is safe.
      if (!(error instanceof StaleConnection)) throw error
      response = await this.#send(request).catch((second) => {
        throw second instanceof StaleConnection ? lost(second.cause) : second
      })
    }
    if (response.statusCode === 200) return response
    const parsed = hostErrorBody.safeParse(parseJson(await this.#readAll(response)))
    if (!parsed.success) throw new SandboxLost(`host answered ${response.statusCode} to ${request.path} without saying why`)
    throw new HostError(parsed.data.error.code, parsed.data.error.message)
  }

  #send(request: HostRequest): Promise<IncomingMessage> {
    const json = request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body))
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest({
        // A body that is streamed cannot be sent twice, so it must not meet a kept connection that is about to close.
        agent: request.stream ? this.#streams : this.#agent,
        socketPath: this.#address.socketPath,
        method: request.method,
        path: request.query ? `${request.path}?${new URLSearchParams(request.query)}` : request.path,
        headers: {
          authorization: `Bearer ${this.#address.token}`,
          'x-cloister-epoch': String(this.#address.epoch),
          ...(json ? { 'content-type': 'application/json', 'content-length': json.length } : {}),
          ...request.headers,
        },
        maxHeaderSize: 64 * 1024,
      })
      outgoing.setTimeout(request.timeoutMs, () =>
        outgoing.destroy(new SandboxLost(`host did not answer ${request.path} within ${request.timeoutMs} ms`)),
      )
      outgoing.once('response', (response) => {
        // From here on the reader of the response sees errors; the request must not throw them once more.
        outgoing.on('error', () => undefined)
        resolve(response)
      })
      outgoing.once('error', (error) =>
        reject(outgoing.reusedSocket && isReset(error) ? new StaleConnection(error) : lost(error)),
      )
      if (request.stream) sendStream(request.stream, outgoing)
      else outgoing.end(json)
    })
  }

  async #readAll(response: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = []
    let bytes = 0
    try {
      for await (const chunk of response) {
        bytes += (chunk as Buffer).length
        if (bytes > MAX_ANSWER_BYTES) throw new SandboxLost(`host's answer is larger than ${MAX_ANSWER_BYTES} bytes`)
        chunks.push(chunk as Buffer)
      }
    } catch (error) {
      throw lost(error)
    }
    return Buffer.concat(chunks).toString('utf8')
  }
}

/** The connection died before an answer, and it was an old one. */
class StaleConnection extends Error {
  constructor(cause: unknown) {
    super('a kept connection was closed', { cause })
  }
}

function isReset(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}

/** Any failure of the connection, as what it means. */
export function lost(error: unknown): Error {
  if (error instanceof SandboxLost || error instanceof HostError) return error
  return new SandboxLost(error instanceof Error ? error.message : String(error), error)
}

/** Sends a body; stops when the other end has answered and does not take more. A body that fails cuts the request. */
function sendStream(stream: NodeJS.ReadableStream, outgoing: ClientRequest): void {
  stream.pipe(outgoing)
  finished(stream, { writable: false }).catch((error: unknown) =>
    outgoing.destroy(error instanceof Error ? error : new Error('the body could not be read')),
  )
  outgoing.once('close', () => stream.unpipe(outgoing))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * A local server that a model provider's client talks to: it answers requests with the queued answers, one each, and keeps the
 * requests. A request for which nothing is queued gets 500 and is remembered in `unexpected`. What it says, and in which format, is
 * the business of `anthropic-wire-server.ts` and `openai-wire-server.ts`.
 */

export interface Received<Body> {
  headers: IncomingHttpHeaders
  body: Body
}

export interface SseEvent {
  /** Empty: the format does not name its events. */
  event: string
  /** Text: sent as it is. */
  data: Record<string, unknown> | string
}

export type WireAnswer =
  | { kind: 'status'; status: number; headers: Record<string, string>; body: unknown }
  /** `end`: how the stream ends after the events. `destroy`: the socket dies. `hang`: nothing more comes. */
  | { kind: 'stream'; events: SseEvent[]; end: 'close' | 'destroy' | 'hang' }

export abstract class ModelWireServer<Body> {
  readonly requests: Received<Body>[] = []
  readonly unexpected: Received<Body>[] = []
  readonly #queue: WireAnswer[] = []
  #otherwise: ((request: Received<Body>) => WireAnswer) | null = null
  readonly #server: Server
  #waiting: (() => void)[] = []

  /** @param path what requests are answered at */
  protected constructor(path: string) {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const received: Received<Body> = { headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) }
        this.requests.push(received)
        const answer =
          request.method === 'POST' && request.url === path ? (this.#queue.shift() ?? this.#otherwise?.(received)) : undefined
        if (!answer) this.unexpected.push(received)
        const respond = answer
          ? send(response, answer)
          : send(response, { kind: 'status', status: 500, headers: {}, body: { error: { message: 'nothing was queued' } } })
        // A client that goes away in the middle (interrupt, deadline) is part of what is tested.
        respond.catch(() => response.destroy())
        for (const wake of this.#waiting.splice(0)) wake()
      })
    })
  }

  protected async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  answer(...answers: WireAnswer[]): void {
    this.#queue.push(...answers)
  }

  /** For requests for which nothing is queued: a model that looks at what it is asked. */
  answerEach(otherwise: (request: Received<Body>) => WireAnswer): void {
    this.#otherwise = otherwise
  }

  /** How many queued answers nobody asked for. */
  get left(): number {
    return this.#queue.length
  }

  /** Resolves when so many requests have come in all. */
  async received(count: number): Promise<void> {
    while (this.requests.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    // Closing one that is closed already is not an error here: a test may have closed it.
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

async function send(response: ServerResponse, answer: WireAnswer): Promise<void> {
  if (answer.kind === 'status') {
    response.writeHead(answer.status, { 'content-type': 'application/json', 'request-id': 'req_wire', ...answer.headers })
    response.end(JSON.stringify(answer.body))
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'request-id': 'req_wire' })
  for (const { event, data } of answer.events) {
    const named = event === '' ? '' : `event: ${event}\n`
    const frame = `${named}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
    // In two writes: a frame may arrive in any pieces.
    const half = Math.ceil(frame.length / 2)
    await write(response, frame.slice(0, half))
    await write(response, frame.slice(half))
  }
  if (answer.end === 'close') response.end()
  if (answer.end === 'destroy') {
    // What was written has to leave before the socket dies, or the client would see a failed request, not a cut answer.
    await new Promise((resolve) => setTimeout(resolve, 20))
    response.socket?.destroy()
  }
}

function write(response: ServerResponse, data: string): Promise<void> {
  return new Promise((resolve, reject) => response.write(data, (error) => (error ? reject(error) : resolve())))
}

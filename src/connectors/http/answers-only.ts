import type { JSONRPCMessage, Transport, TransportSendOptions } from '@modelcontextprotocol/client'

/** What a server may say after something was sent to it: answers, progress, changes of its list. */
const MOST_MESSAGES = 10_000

/**
 * A way to a server that is heard and never answered. A request of the server's own (`ping` too) would be answered by a request of ours
 * each, as many at once as it likes: they are dropped. A server that goes on and on is cut off, and calls that wait for it are lost.
 */
export class AnswersOnly implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: Transport['onmessage']
  readonly hasPerRequestStream = true
  readonly #inner: Transport
  #heard = 0

  constructor(inner: Transport) {
    this.#inner = inner
  }

  async start(): Promise<void> {
    this.#inner.onclose = () => this.onclose?.()
    this.#inner.onerror = (error) => this.onerror?.(error)
    this.#inner.onmessage = (message, extra) => {
      if (++this.#heard > MOST_MESSAGES) return void this.#inner.close()
      if ('method' in message && 'id' in message) return
      this.onmessage?.(message, extra)
    }
    await this.#inner.start()
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    this.#heard = 0
    await this.#inner.send(message, options)
  }

  async close(): Promise<void> {
    await this.#inner.close()
  }

  get sessionId(): string | undefined {
    return this.#inner.sessionId
  }

  setProtocolVersion(version: string): void {
    this.#inner.setProtocolVersion?.(version)
  }
}

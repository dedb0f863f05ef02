import type { ServerResponse } from 'node:http'
import type { ExecFrame, ExecOutcome } from '../wire.ts'
import type { Cursor, KeptOutput } from './kept-output.ts'

/** Becomes 64 KiB of base64. */
const FRAME_BYTES = 48 * 1024

interface Source {
  readonly kept: KeptOutput
  readonly outcome: ExecOutcome | null
  readonly pid: number | null
}

/** One caller that follows an operation: a cursor in its output and a response. */
export class Attachment {
  readonly #response: ServerResponse
  readonly #source: Source
  readonly #replayed: boolean
  readonly #onFlow: () => void
  readonly #cursor: Cursor
  #startedSent = false
  #blocked = false

  /** @param onFlow called when the caller's socket takes data again */
  constructor(response: ServerResponse, source: Source, replayed: boolean, onFlow: () => void) {
    this.#response = response
    this.#source = source
    this.#replayed = replayed
    this.#onFlow = onFlow
    this.#cursor = source.kept.cursor()
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.flushHeaders()
  }

  /** The caller's socket is full. */
  get blocked(): boolean {
    return this.#blocked
  }

  /** Sends what there is, as far as the socket takes it. */
  pump(): void {
    while (!this.#blocked && !this.#response.writableEnded && !this.#response.destroyed) {
      const frame = this.#nextFrame()
      if (!frame) return
      const taken = this.#response.write(`${JSON.stringify(frame)}\n`)
      if (frame.t === 'exit') {
        this.#response.end()
      } else if (!taken) {
        this.#blocked = true
        this.#response.once('drain', () => {
          this.#blocked = false
          this.pump()
          this.#onFlow()
        })
      }
    }
  }

  #nextFrame(): ExecFrame | null {
    const { kept, outcome, pid } = this.#source
    if (!this.#startedSent && pid !== null) {
      this.#startedSent = true
      return { t: 'started', pid }
    }
    const piece = kept.next(this.#cursor, FRAME_BYTES)
    if (piece && 'gap' in piece) return { t: 'gap', dropped_bytes: piece.gap }
    if (piece) return { t: 'out', c: piece.channel, d: piece.data.toString('base64') }
    return outcome ? { t: 'exit', outcome: { ...outcome, replayed: this.#replayed } } : null
  }
}

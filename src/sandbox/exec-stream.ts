import type { IncomingMessage } from 'node:http'
import type { ExecFrame, ExecOutcome } from '../host/wire.ts'
import type { ExecOptions, ExecResult } from './sandbox.ts'
import { SandboxLost } from './sandbox-errors.ts'
import { execFrame } from './wire-schemas.ts'

/** Host sends at most 64 KiB of base64 in a frame. */
const MAX_LINE_BYTES = 256 * 1024

/** The connection ended before the command did. */
export class StreamCut extends Error {}

/** Collects one command's output over one or, when a connection is cut, several streams, each of which starts at its beginning. */
export class ExecCollector {
  readonly #maxBytes: number
  readonly #onOutput: ExecOptions['onOutput']
  readonly #stdout: Buffer[] = []
  readonly #stderr: Buffer[] = []
  /** Bytes of the whole output that were taken, or that are known to be missing. */
  #position = 0
  #received = 0
  #dropped = 0

  constructor(maxBytes: number, onOutput: ExecOptions['onOutput']) {
    this.#maxBytes = maxBytes
    this.#onOutput = onOutput
  }

  /** Reads a stream to the exit frame. Throws `StreamCut`, or `SandboxLost` for what no honest host sends. */
  async read(response: IncomingMessage): Promise<ExecResult> {
    let at = 0
    try {
      for await (const frame of frames(response)) {
        if (frame.t === 'exit') return this.#result(frame.outcome)
        if (frame.t === 'out') at = this.#take(frame.c, Buffer.from(frame.d, 'base64'), at)
        if (frame.t === 'gap') at = this.#gap(frame.dropped_bytes, at)
      }
    } catch (error) {
      if (error instanceof SandboxLost) throw error
      throw new StreamCut('the connection was cut', { cause: error })
    } finally {
      response.destroy()
    }
    throw new StreamCut('the connection was closed')
  }

  #take(channel: 1 | 2, data: Buffer, at: number): number {
    const end = at + data.length
    if (end <= this.#position) return end
    const fresh = data.subarray(Math.max(0, this.#position - at))
    this.#position = end
    this.#received += fresh.length
    if (this.#received > this.#maxBytes) throw new SandboxLost('host sent more output than was allowed')
    if (channel === 1) this.#stdout.push(fresh)
    else this.#stderr.push(fresh)
    this.#onOutput?.(channel === 1 ? 'stdout' : 'stderr', fresh)
    return end
  }

  #gap(bytes: number, at: number): number {
    const end = at + bytes
    if (end > this.#position) {
      this.#dropped += end - this.#position
      this.#position = end
    }
    return end
  }

  #result(outcome: ExecOutcome): ExecResult {
    return { ...outcome, stdout: Buffer.concat(this.#stdout), stderr: Buffer.concat(this.#stderr), dropped_bytes: this.#dropped }
  }
}

async function* frames(response: IncomingMessage): AsyncGenerator<ExecFrame> {
  let pending: Buffer[] = []
  let pendingBytes = 0
  for await (const chunk of response) {
    let rest = chunk as Buffer
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield parseFrame(Buffer.concat([...pending, rest.subarray(0, end)]).toString('utf8'))
      pending = []
      pendingBytes = 0
      rest = rest.subarray(end + 1)
    }
    pendingBytes += rest.length
    if (pendingBytes > MAX_LINE_BYTES) throw new SandboxLost('host sent a frame without an end')
    if (rest.length > 0) pending.push(rest)
  }
}

function parseFrame(line: string): ExecFrame {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new SandboxLost('host sent a frame that is not JSON', error)
  }
  const parsed = execFrame.safeParse(value)
  if (!parsed.success) throw new SandboxLost('host sent a frame that is not one', parsed.error)
  return parsed.data
}

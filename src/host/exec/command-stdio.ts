import type { ChildProcess } from 'node:child_process'
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { Pipe, PipePool } from './pipe-pool.ts'

export interface CommandStreams {
  input: Writable | null
  /** stdout, stderr. */
  outputs: Readable[]
}

/**
 * A command's standard streams: what goes to spawn, and then host's ends of them. Input stays Node's socket, which cannot be opened
 * as `/dev/stdin`: a FIFO that is opened again after its writer has closed would wait for another one for ever.
 */
export class CommandStdio {
  readonly #hasInput: boolean
  readonly #pipes: Pipe[] | null

  private constructor(hasInput: boolean, pipes: Pipe[] | null) {
    this.#hasInput = hasInput
    this.#pipes = pipes
  }

  static async open(pool: PipePool, hasInput: boolean): Promise<CommandStdio> {
    return new CommandStdio(hasInput, await pool.take(2))
  }

  /** For spawn. */
  get entries(): ('ignore' | 'pipe' | number)[] {
    const outputs = this.#pipes?.map(({ write }) => write) ?? ['pipe' as const, 'pipe' as const]
    return [this.#hasInput ? 'pipe' : 'ignore', ...outputs]
  }

  /** After spawn: the child has its ends, host's copies of them are closed. */
  streams(child: ChildProcess): CommandStreams {
    const own = [child.stdout, child.stderr].filter((pipe) => pipe !== null)
    const opened = this.#pipes?.map(({ read, write }) => {
      closeSync(write)
      return new Socket({ fd: read, readable: true, writable: false })
    })
    return { input: child.stdin, outputs: opened ?? own }
  }

  /** Instead of `streams`, when nothing was spawned. */
  discard(): void {
    for (const { read, write } of this.#pipes ?? []) {
      closeSync(read)
      closeSync(write)
    }
  }
}

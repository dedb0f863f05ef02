import { spawn } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Pipes made at once: one start of `mkfifo` costs 2 ms, whether it makes one or many. */
const BATCH = 24
const LOW = 12

/** Both ends of one pipe, close-on-exec. `read` is non-blocking (host's), `write` blocks (the command's). */
export interface Pipe {
  read: number
  write: number
}

/**
 * Real pipes for what commands print. What Node gives a child by itself are sockets, and those cannot be opened by name:
 * `> /dev/stderr` and `tee /dev/stdout` would fail. Node cannot make a pipe, so FIFOs are made, opened and unlinked.
 */
export class PipePool {
  readonly #path: string
  #ready: Pipe[] = []
  #filling: Promise<void> | null = null

  /** @param path PATH on which `mkfifo` is found */
  constructor(path: string | undefined) {
    this.#path = path ?? '/usr/local/bin:/usr/bin:/bin'
  }

  /** Null where no pipe can be made (no `mkfifo`, no room for a process): then sockets have to do. */
  async take(count: number): Promise<Pipe[] | null> {
    for (let tries = 0; tries < 3 && this.#ready.length < count; tries++) await this.fill()
    if (this.#ready.length < count) return null
    const taken = this.#ready.splice(0, count)
    if (this.#ready.length < LOW) void this.fill()
    return taken
  }

  /** Makes another batch. Never rejects. */
  fill(): Promise<void> {
    this.#filling ??= this.#make().finally(() => {
      this.#filling = null
    })
    return this.#filling
  }

  async #make(): Promise<void> {
    let directory: string | undefined
    try {
      directory = mkdtempSync(join(tmpdir(), '.cloister-'))
      const paths = Array.from({ length: BATCH }, (_, index) => join(directory as string, String(index)))
      const code = await new Promise((resolve) => {
        const child = spawn('mkfifo', ['-m', '600', ...paths], { cwd: '/', env: { PATH: this.#path }, stdio: 'ignore' })
        child.once('error', resolve).once('exit', resolve)
      })
      if (code === 0) for (const path of paths) this.#ready.push(openPipe(path))
    } catch {
      // No room in /tmp, no descriptors: `take` says that there are none.
    } finally {
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
    }
  }
}

function openPipe(path: string): Pipe {
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  try {
    return { read, write: openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW) }
  } catch (error) {
    closeSync(read)
    throw error
  }
}

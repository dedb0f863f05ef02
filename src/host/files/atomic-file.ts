import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { errnoOf, HostFailure } from '../host-failure.ts'
import { attempt, entryPath, lstatPlace, type Place } from '../safe-path.ts'

/** A file beside its destination that becomes it by one rename, or vanishes. */
export class TemporaryFile {
  readonly #place: Place
  readonly #name = `.cloister-${randomBytes(9).toString('hex')}.tmp`
  readonly #digest = createHash('sha256')
  #fd: number | null
  #bytes = 0

  constructor(place: Place) {
    this.#place = place
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    this.#fd = attempt(place.scope.asked, () => openSync(this.#path, flags, 0o600))
  }

  get #path(): string {
    return entryPath(this.#place.directory, this.#name)
  }

  get bytes(): number {
    return this.#bytes
  }

  write(chunk: Buffer): void {
    const fd = this.#fd
    if (fd === null) throw new HostFailure('internal', 'the temporary file is closed')
    attempt(this.#place.scope.asked, () => {
      for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done)
    })
    this.#digest.update(chunk)
    this.#bytes += chunk.length
  }

  /**
   * Puts the file in its place. `mode`: its permission bits. `absent`: throws `exists` (atomically) when something is there.
   * @returns the content's SHA-256
   */
  commit(mode: number, absent: boolean): string {
    const { asked } = this.#place.scope
    const fd = this.#fd
    if (fd === null) throw new HostFailure('internal', 'the temporary file is closed')
    attempt(asked, () => {
      fchmodSync(fd, mode)
      const destination = entryPath(this.#place.directory, this.#place.name)
      if (absent) {
        linkSync(this.#path, destination)
        this.discard()
      } else {
        renameSync(this.#path, destination)
        this.#close()
      }
    })
    return this.#digest.digest('hex')
  }

  /** Removes it. After `commit`: nothing. */
  discard(): void {
    if (this.#fd === null) return
    this.#close()
    try {
      unlinkSync(this.#path)
    } catch (error) {
      // What the sandbox itself removed need not be removed again.
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }

  #close(): void {
    if (this.#fd !== null) closeSync(this.#fd)
    this.#fd = null
  }
}

/** What a file may replace: nothing, or a regular file. Throws for the rest. */
export function replaceable(place: Place): Stats | null {
  const stats = lstatPlace(place)
  const asked = JSON.stringify(place.scope.asked)
  if (stats?.isDirectory()) throw new HostFailure('is_directory', `${asked} is a directory`)
  if (stats && !stats.isFile()) throw new HostFailure('invalid_argument', `${asked} is not a regular file`)
  return stats
}

/** SHA-256 of what a descriptor reads from its start. `sink` gets every chunk. */
export function digestOf(fd: number, sink?: (chunk: Buffer) => void): string {
  const digest = createHash('sha256')
  const buffer = Buffer.allocUnsafe(256 * 1024)
  for (let position = 0; ; ) {
    const read = readSync(fd, buffer, 0, buffer.length, position)
    if (read === 0) return digest.digest('hex')
    digest.update(buffer.subarray(0, read))
    sink?.(Buffer.from(buffer.subarray(0, read)))
    position += read
  }
}

import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, constants, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CloisterError, errors } from '../../domain/errors.ts'
import { SESSION_ID } from '../../domain/ids.ts'
import type { ArtifactStore } from '../artifact-store.ts'

/** Unfinished files this old, in ms, were left by a server that died: nobody writes one for an hour. */
const ABANDONED = 3_600_000

/**
 * Artifacts as files: `<root>/<session>/<artifact>`, directories 0700, files 0600. A file is there whole, on the disk, or not at
 * all: it is written under `<root>/.incoming` and renamed. Both ids are checked, as they become names. The root must lie on one
 * file system. Methods throw `store_unavailable` when the disk does not do its part.
 */
export class LocalArtifactStore implements ArtifactStore {
  readonly #root: string
  readonly #incoming: string

  /** @param root made when it is not there, and made private when it is */
  constructor(root: string) {
    this.#root = root
    this.#incoming = join(root, '.incoming')
    for (const directory of [this.#root, this.#incoming]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      chmodSync(directory, 0o700)
    }
    sweep(this.#incoming)
  }

  async put(sessionId: string, artifactId: string, content: Uint8Array): Promise<{ size_bytes: number; sha256: string }> {
    const directory = this.#directory(sessionId)
    const target = this.#file(sessionId, artifactId)
    return this.#onDisk(async () => {
      const unfinished = join(this.#incoming, `${artifactId}.${randomBytes(8).toString('hex')}`)
      try {
        const handle = await open(unfinished, 'wx', 0o600)
        try {
          await handle.writeFile(content)
          await handle.sync()
        } finally {
          await handle.close()
        }
        const made = await mkdir(directory, { recursive: true, mode: 0o700 })
        await rename(unfinished, target)
        await syncDirectory(directory)
        if (made !== undefined) await syncDirectory(this.#root)
      } catch (error) {
        await rm(unfinished, { force: true })
        throw error
      }
      return { size_bytes: content.byteLength, sha256: createHash('sha256').update(content).digest('hex') }
    })
  }

  /** A range that starts behind the end, or is none, is `invalid_argument`; one that ends behind it is cut. */
  async get(
    sessionId: string,
    artifactId: string,
    range?: { start: number; end: number },
  ): Promise<NodeJS.ReadableStream | null> {
    return this.#onDisk(async () => {
      const handle = await this.#open(sessionId, artifactId)
      if (!handle) return null
      try {
        const { size } = await handle.stat()
        if (!range) return handle.createReadStream()
        const { start, end } = range
        const valid = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && start < size
        if (!valid)
          throw errors.invalidArgument(`the range ${start}-${end} is not within the ${size} bytes of the artifact`, [
            { path: 'range', reason: `must start within 0 and ${size - 1} and not end before it starts` },
          ])
        return handle.createReadStream({ start, end: Math.min(end, size - 1) })
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  async read(sessionId: string, artifactId: string): Promise<Buffer | null> {
    return this.#onDisk(async () => {
      const handle = await this.#open(sessionId, artifactId)
      if (!handle) return null
      try {
        return await handle.readFile()
      } finally {
        await handle.close()
      }
    })
  }

  /** The session's artifacts are out of reach at once, also if the server dies while their bytes go. */
  async deleteSession(sessionId: string): Promise<void> {
    const directory = this.#directory(sessionId)
    await this.#onDisk(async () => {
      const doomed = join(this.#incoming, `deleted.${sessionId}.${randomBytes(8).toString('hex')}`)
      try {
        await rename(directory, doomed)
      } catch (error) {
        if (isMissing(error)) return
        throw error
      }
      await syncDirectory(this.#root)
      await rm(doomed, { recursive: true, force: true })
    })
  }

  /** Never through a link: nothing but this class puts files here, and it makes none. */
  async #open(sessionId: string, artifactId: string): Promise<FileHandle | null> {
    try {
      return await open(this.#file(sessionId, artifactId), constants.O_RDONLY | constants.O_NOFOLLOW)
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  #directory(sessionId: string): string {
    return join(this.#root, checkedId('session', sessionId))
  }

  #file(sessionId: string, artifactId: string): string {
    return join(this.#directory(sessionId), checkedId('artifact', artifactId))
  }

  async #onDisk<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof CloisterError || !isSystemError(error)) throw error
      throw errors.storeUnavailable(`the artifact store cannot work: ${error.code}`, error)
    }
  }
}

/** Ids of both kinds have the alphabet of a session's: no dot, no slash, no capital that a file system may fold. */
function checkedId(kind: string, id: string): string {
  if (SESSION_ID.test(id)) return id
  throw errors.invalidArgument(`${JSON.stringify(id.slice(0, 80))} is not the id of a ${kind}`)
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function sweep(incoming: string): void {
  for (const name of readdirSync(incoming)) {
    const path = join(incoming, name)
    const abandoned = name.startsWith('deleted.') || Date.now() - statSync(path).mtimeMs > ABANDONED
    if (abandoned) rmSync(path, { recursive: true, force: true })
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string' && 'syscall' in error
}

function isMissing(error: unknown): boolean {
  return isSystemError(error) && error.code === 'ENOENT'
}

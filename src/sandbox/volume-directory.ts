import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { chmod, chown, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { errors } from '../domain/errors.ts'
import { SESSION_ID } from '../domain/ids.ts'
import type { VolumeStore } from './sandbox-driver.ts'

const run = promisify(execFile)
const SECRET_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
const STAGING_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/**
 * Sessions' files under one directory of the machine: `<root>/<session_id>/{volume/{code,data},secrets,staging}`. The directories
 * above a volume are 0711, so that a sandbox of another uid can be given what is below and list nothing.
 */
export class VolumeDirectory implements VolumeStore {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  /** The session's directory on the server's machine. Throws `invalid_argument` for what is not a session's id. */
  directory(sessionId: string): string {
    if (!SESSION_ID.test(sessionId)) throw errors.invalidArgument(`${JSON.stringify(sessionId)} is not a session's id`)
    return join(this.root, sessionId)
  }

  /** Bound at `/session`. */
  volume(sessionId: string): string {
    return join(this.directory(sessionId), 'volume')
  }

  /** Bound at `/session/secrets`, read-only. */
  secrets(sessionId: string): string {
    return join(this.directory(sessionId), 'secrets')
  }

  async create(
    sessionId: string,
    contents: { uid: number | null; secrets: Record<string, string>; staging: Record<string, string> },
  ): Promise<void> {
    const directory = this.directory(sessionId)
    await mkdir(this.root, { recursive: true, mode: 0o711 })
    try {
      await mkdir(directory, { mode: 0o711 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw errors.conflict(`session ${sessionId} has files already`)
      throw error
    }
    try {
      await this.#fill(directory, contents)
    } catch (error) {
      await this.destroy(sessionId)
      throw error
    }
  }

  readSecrets(sessionId: string): Promise<Record<string, string>> {
    return readAll(this.secrets(sessionId))
  }

  readStaging(sessionId: string): Promise<Record<string, string>> {
    return readAll(this.#staging(sessionId))
  }

  async clearStaging(sessionId: string): Promise<void> {
    const staging = this.#staging(sessionId)
    for (const name of await readdir(staging)) await rm(join(staging, name), { force: true })
  }

  async destroy(sessionId: string): Promise<void> {
    const directory = this.directory(sessionId)
    try {
      await removeTree(directory)
    } catch {
      // Files of the server's own uid may lie in directories that were made unwritable.
      await run('chmod', ['-R', 'u+rwX', '--', directory]).catch(() => undefined)
      await removeTree(directory)
    }
  }

  async list(): Promise<string[]> {
    const names = await readdir(this.root).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    })
    return names.filter((name) => SESSION_ID.test(name)).sort()
  }

  #staging(sessionId: string): string {
    return join(this.directory(sessionId), 'staging')
  }

  async #fill(
    directory: string,
    contents: { uid: number | null; secrets: Record<string, string>; staging: Record<string, string> },
  ): Promise<void> {
    // mkdir's mode is subject to the umask.
    await chmod(directory, 0o711)
    for (const name of ['volume', 'volume/code', 'volume/data']) await makeDirectory(join(directory, name), contents.uid)
    await mkdir(join(directory, 'staging'), { mode: 0o700 })
    for (const [name, text] of Object.entries(contents.staging)) {
      if (!STAGING_NAME.test(name)) throw errors.invalidArgument(`${JSON.stringify(name)} cannot be a file's name`)
      await writeNew(join(directory, 'staging', name), text, 0o600, null)
    }
    const secrets = join(directory, 'secrets')
    await mkdir(secrets, { mode: 0o700 })
    for (const [name, value] of Object.entries(contents.secrets)) {
      if (!SECRET_NAME.test(name)) throw errors.invalidArgument(`${JSON.stringify(name)} cannot be a secret's name`)
      await writeNew(join(secrets, name), value, 0o400, contents.uid)
    }
    // Last, so that nobody but the server could reach what was written before.
    if (contents.uid !== null) await chown(secrets, contents.uid, contents.uid)
  }
}

async function makeDirectory(path: string, uid: number | null): Promise<void> {
  await mkdir(path, { mode: 0o700 })
  if (uid !== null) await chown(path, uid, uid)
}

/** Refuses to write through anything that is there already. */
async function writeNew(path: string, text: string, mode: number, uid: number | null): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode)
  try {
    await file.writeFile(text)
    if (uid !== null) await file.chown(uid, uid)
  } finally {
    await file.close()
  }
}

async function readAll(directory: string): Promise<Record<string, string>> {
  const contents: Record<string, string> = {}
  for (const name of (await readdir(directory)).sort()) {
    const file = await open(join(directory, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      contents[name] = await file.readFile('utf8')
    } finally {
      await file.close()
    }
  }
  return contents
}

/** By `rm`, which follows no links and manages trees that are nested deeper than a path can be long. Throws unless all is gone. */
async function removeTree(directory: string): Promise<void> {
  await run('rm', ['-rf', '--one-file-system', '--', directory])
  const left = await stat(directory).catch(() => null)
  if (left) throw errors.internal('a volume could not be removed')
}

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A secret file that must not be used as it is. The message says what would mend it. */
export class SecretFileError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'SecretFileError'
  }
}

/**
 * Reads a file of random bytes, made on first use: 0600, ours, whole or not at all, the same for all who ask at once.
 * @param bytes how many; a file with fewer is refused
 * @throws SecretFileError if others may read or write it, if it is another owner's, a link, or too short
 */
export async function readOrCreateSecretFile(path: string, bytes = 32): Promise<Uint8Array> {
  const there = await read(path, bytes)
  if (there) return there
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const unfinished = `${path}.${randomBytes(8).toString('hex')}`
  try {
    const handle = await open(unfinished, 'wx', 0o600)
    try {
      await handle.writeFile(randomBytes(bytes))
      await handle.sync()
    } finally {
      await handle.close()
    }
    // Unlike a rename, a link never replaces: of two servers that start at once, both use what the first one made.
    await link(unfinished, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(unfinished, { force: true })
  }
  const made = await read(path, bytes)
  if (!made) throw new SecretFileError(`${path} vanished as soon as it was made`)
  return made
}

async function read(path: string, bytes: number): Promise<Uint8Array | null> {
  const handle = await openFile(path)
  if (!handle) return null
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) throw new SecretFileError(`${path} is not a plain file: move it away`)
    if (stat.uid !== process.geteuid?.())
      throw new SecretFileError(`${path} belongs to the user ${stat.uid}, not to the one who runs this: move it away`)
    if ((stat.mode & 0o077) !== 0)
      throw new SecretFileError(
        `${path} can be read by others: its secret may be known. Remove it (a new one is made), or chmod 600 it if you are sure`,
      )
    const content = await handle.readFile()
    if (content.byteLength < bytes)
      throw new SecretFileError(`${path} holds ${content.byteLength} bytes, ${bytes} are needed: remove it`)
    return content
  } finally {
    await handle.close()
  }
}

async function openFile(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    if (code === 'ELOOP') throw new SecretFileError(`${path} is a symbolic link: put the file itself there`)
    throw error
  }
}

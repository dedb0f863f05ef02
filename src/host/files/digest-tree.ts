import { createHash, type Hash } from 'node:crypto'
import { type BigIntStats, closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync } from 'node:fs'
import type { Fields } from '../fields.ts'
import { errnoOf, fromSystemError, HostFailure } from '../host-failure.ts'
import { attempt, descriptorPath, isGit, openPlace, type Place, realScope } from '../safe-path.ts'
import type { SessionRoot } from '../session-root.ts'
import type { DigestResult } from '../wire.ts'
import { digestOf } from './atomic-file.ts'
import { Breather } from './breather.ts'

/** One descriptor is held per level. */
const MAX_DEPTH = 200
const MAX_ENTRIES = 500_000
/** Contents are read up to here, of one file and of all, in bytes; what is beyond counts by its times, which only the kernel sets. */
const READ_EACH = 1024 * 1024
const READ_ALL = 64 * 1024 * 1024
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

interface Walk {
  asked: string
  hash: Hash
  entries: number
  read: number
  breather: Breather
}

/**
 * A digest of what a path names: a file with its content, a directory with all that is in it (without `.git`, which only git writes
 * to), a link with what it leads to. Two answers are equal while nothing of it changed, times of directories apart.
 */
export async function digestTree(root: SessionRoot, fields: Fields): Promise<DigestResult> {
  const scope = realScope(root, fields.scope())
  const walk: Walk = { asked: scope.asked, hash: createHash('sha256'), entries: 0, read: 0, breather: new Breather() }
  const places = [false, true].map((followLast) => placeOf(() => openPlace(scope, { writing: false, followLast })))
  try {
    // The link itself, and then what it leads to: a tool may change either.
    const [itself, target] = places
    if (!itself || !(await digestEntry(walk, itself.directory, Buffer.from(itself.name), 0))) return { sha256: null }
    if (target && target.path !== itself.path) await digestEntry(walk, target.directory, Buffer.from(target.name), 0)
    return { sha256: walk.hash.digest('hex') }
  } finally {
    for (const place of places) if (place) closeSync(place.directory)
  }
}

/** Null: nothing is there. */
function placeOf(open: () => Place): Place | null {
  try {
    return open()
  } catch (error) {
    if (error instanceof HostFailure && (error.code === 'not_found' || error.code === 'not_a_directory')) return null
    throw error
  }
}

/** False: nothing is there. */
async function digestEntry(walk: Walk, directory: number, name: Buffer, depth: number): Promise<boolean> {
  const path = Buffer.concat([Buffer.from(`${descriptorPath(directory)}/`), name])
  const stats = statOf(walk, path)
  if (!stats) return false
  if (++walk.entries > MAX_ENTRIES)
    throw new HostFailure('too_large', `${JSON.stringify(walk.asked)} holds more than ${MAX_ENTRIES} entries: name less of it`)
  // Length before name: no two trees are written alike.
  walk.hash
    .update(`${name.length} `)
    .update(name)
    .update(` ${stats.mode.toString(8)} `)
  if (stats.isDirectory()) await digestDirectory(walk, path, stats, depth)
  else if (stats.isSymbolicLink()) walk.hash.update(attempt(walk.asked, () => readlinkSync(path, 'buffer')))
  else if (stats.isFile()) walk.hash.update(contentOf(walk, path, stats))
  walk.hash.update('\n')
  await walk.breather.pause()
  return true
}

async function digestDirectory(walk: Walk, path: Buffer, stats: BigIntStats, depth: number): Promise<void> {
  if (depth > MAX_DEPTH)
    throw new HostFailure('too_large', `${JSON.stringify(walk.asked)} is nested deeper than ${MAX_DEPTH} directories`)
  const directory = opened(walk, path, OPEN_DIRECTORY)
  if (directory === null) {
    walk.hash.update(timesOf(stats))
    return
  }
  try {
    const names = attempt(walk.asked, () => readdirSync(descriptorPath(directory), { encoding: 'buffer' }))
    walk.hash.update('{')
    for (const name of names.sort(Buffer.compare))
      if (!isGit(name.toString())) await digestEntry(walk, directory, name, depth + 1)
    walk.hash.update('}')
  } finally {
    closeSync(directory)
  }
}

function contentOf(walk: Walk, path: Buffer, stats: BigIntStats): string {
  const { size } = stats
  if (size > READ_EACH || walk.read + Number(size) > READ_ALL) return timesOf(stats)
  walk.read += Number(size)
  const file = opened(walk, path, OPEN_FILE)
  if (file === null) return timesOf(stats)
  try {
    return attempt(walk.asked, () => digestOf(file))
  } finally {
    closeSync(file)
  }
}

function timesOf({ size, mtimeNs, ctimeNs, ino }: BigIntStats): string {
  return `${size} ${mtimeNs} ${ctimeNs} ${ino}`
}

/** Null: it may not be read, or is another thing by now. */
function opened(walk: Walk, path: Buffer, flags: number): number | null {
  try {
    return openSync(path, flags)
  } catch (error) {
    if (['EACCES', 'ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return null
    throw fromSystemError(error, walk.asked)
  }
}

function statOf(walk: Walk, path: Buffer): BigIntStats | null {
  try {
    return lstatSync(path, { bigint: true })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw fromSystemError(error, walk.asked)
  }
}

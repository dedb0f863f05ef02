import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { HostFailure } from '../host-failure.ts'
import { attempt, descriptorPath, isGit, type Place } from '../safe-path.ts'
import { Breather } from './breather.ts'

/** One descriptor is held per level; deeper trees are refused rather than exhausting them. */
const MAX_DEPTH = 200
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const OPEN_SOURCE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const OPEN_NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
const COPY_BYTES = 1024 * 1024

/** A name in an opened directory, in bytes: not every name is UTF-8. */
interface Entry {
  directory: number
  name: Buffer
}

export const entryOf = (place: Place): Entry => ({ directory: place.directory, name: Buffer.from(place.name) })

const pathOf = ({ directory, name }: Entry): Buffer => Buffer.concat([Buffer.from(`${descriptorPath(directory)}/`), name])

/** Throws `path_denied` when a `.git` lies anywhere in the tree: only git removes or copies those. Nothing is touched. */
export async function refuseGitInside(place: Place): Promise<void> {
  await visit(place, ({ name }) => {
    if (isGit(name.toString()))
      throw new HostFailure(
        'path_denied',
        `${JSON.stringify(place.scope.asked)} holds a .git directory, which only git writes to`,
      )
  })
}

/** Removes the directory and all that is in it; symlinks themselves, never what they lead to. */
export async function removeTree(place: Place): Promise<void> {
  const remove = (entry: Entry, stats: Stats) => (stats.isDirectory() ? rmdirSync(pathOf(entry)) : unlinkSync(pathOf(entry)))
  await visit(place, () => undefined, remove)
  attempt(place.scope.asked, () => rmdirSync(pathOf(entryOf(place))))
}

/** Copies a file, a link (as a link) or a directory to a name that is free. Devices, FIFOs and sockets are refused. */
export async function copyTree(asked: string, from: Entry, to: Entry): Promise<void> {
  await copyEntry({ asked, breather: new Breather() }, from, to, 0)
}

interface Walk {
  asked: string
  breather: Breather
}

async function copyEntry(walk: Walk, from: Entry, to: Entry, depth: number): Promise<void> {
  const stats = attempt(walk.asked, () => lstatSync(pathOf(from)))
  if (stats.isDirectory()) {
    await copyDirectory(walk, from, to, depth)
  } else if (stats.isSymbolicLink()) {
    attempt(walk.asked, () => symlinkSync(readlinkSync(pathOf(from), 'buffer'), pathOf(to)))
  } else if (stats.isFile()) {
    await copyContent(walk, from, to)
  } else {
    throw new HostFailure(
      'invalid_argument',
      `${JSON.stringify(walk.asked)}: ${JSON.stringify(from.name.toString())} is not a regular file`,
    )
  }
}

async function copyDirectory(walk: Walk, from: Entry, to: Entry, depth: number): Promise<void> {
  const source = openLevel(walk, from, depth)
  try {
    attempt(walk.asked, () => mkdirSync(pathOf(to), 0o700))
    const target = openLevel(walk, to, depth)
    try {
      for (const name of names(walk, source)) {
        await copyEntry(walk, { directory: source, name }, { directory: target, name }, depth + 1)
        await walk.breather.pause()
      }
      fchmodSync(target, fstatSync(source).mode & 0o777)
    } finally {
      closeSync(target)
    }
  } finally {
    closeSync(source)
  }
}

async function copyContent(walk: Walk, from: Entry, to: Entry): Promise<void> {
  const source = attempt(walk.asked, () => openSync(pathOf(from), OPEN_SOURCE))
  try {
    const stats = fstatSync(source)
    if (!stats.isFile()) throw new HostFailure('changed', `${JSON.stringify(walk.asked)} changed while it was copied`)
    const target = attempt(walk.asked, () => openSync(pathOf(to), OPEN_NEW, 0o600))
    try {
      const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, stats.size + 1))
      for (;;) {
        const read = attempt(walk.asked, () => readSync(source, buffer))
        if (read === 0) break
        attempt(walk.asked, () => {
          for (let done = 0; done < read; ) done += writeSync(target, buffer, done, read - done)
        })
        await walk.breather.pause()
      }
      fchmodSync(target, stats.mode & 0o777)
    } finally {
      closeSync(target)
    }
  } finally {
    closeSync(source)
  }
}

type Visit = (entry: Entry, stats: Stats) => void

/** Calls `before` for every entry below the place on the way down and `after` on the way up. */
async function visit(place: Place, before: Visit, after?: Visit): Promise<void> {
  const walk = { asked: place.scope.asked, breather: new Breather() }
  const level = async (parent: Entry, depth: number): Promise<void> => {
    const directory = openLevel(walk, parent, depth)
    try {
      for (const name of names(walk, directory)) {
        const entry = { directory, name }
        const stats = attempt(walk.asked, () => lstatSync(pathOf(entry)))
        before(entry, stats)
        if (stats.isDirectory()) await level(entry, depth + 1)
        if (after) attempt(walk.asked, () => after(entry, stats))
        await walk.breather.pause()
      }
    } finally {
      closeSync(directory)
    }
  }
  await level(entryOf(place), 0)
}

function openLevel(walk: Walk, entry: Entry, depth: number): number {
  if (depth > MAX_DEPTH)
    throw new HostFailure('too_large', `${JSON.stringify(walk.asked)} is nested deeper than ${MAX_DEPTH} directories`)
  return attempt(walk.asked, () => openSync(pathOf(entry), OPEN_DIRECTORY))
}

function names(walk: Walk, directory: number): Buffer[] {
  return attempt(walk.asked, () => readdirSync(descriptorPath(directory), { encoding: 'buffer' }))
}

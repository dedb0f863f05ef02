import {
  closeSync,
  constants,
  fchmodSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { HostFailure } from '../host-failure.ts'
import { attempt, descriptorPath, entryPath, isGit, type Place } from '../safe-path.ts'
import { digestOf, TemporaryFile } from './atomic-file.ts'

/** One descriptor is held per level; deeper trees are refused rather than exhausting them. */
const MAX_DEPTH = 200
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Throws `path_denied` when a `.git` lies anywhere in the tree: only git removes or copies those. Nothing is touched. */
export function refuseGitInside(place: Place): void {
  visit(place, (_directory, name) => {
    if (isGit(name))
      throw new HostFailure(
        'path_denied',
        `${JSON.stringify(place.scope.asked)} holds a .git, which only git writes to: take it apart by hand`,
      )
  })
}

/** Removes the directory and all that is in it; symlinks themselves, never what they lead to. */
export function removeTree(place: Place): void {
  visit(
    place,
    () => undefined,
    (directory, name, isDirectory) => {
      if (isDirectory) rmdirSync(entryPath(directory, name))
      else unlinkSync(entryPath(directory, name))
    },
  )
  attempt(place.scope.asked, () => rmdirSync(entryPath(place.directory, place.name)))
}

/** Copies a directory to a place where nothing is yet. Links are copied as links; devices, FIFOs and sockets are refused. */
export function copyTree(from: Place, to: Place): void {
  copyLevel(from, { directory: from.directory, name: from.name }, { directory: to.directory, name: to.name }, 0)
}

interface Entry {
  directory: number
  name: string
}

function copyLevel(origin: Place, from: Entry, to: Entry, depth: number): void {
  const source = openLevel(origin, from, depth)
  try {
    const mode = attempt(origin.scope.asked, () => {
      mkdirSync(entryPath(to.directory, to.name), 0o700)
      return fstatSync(source).mode & 0o777
    })
    const target = openLevel(origin, to, depth)
    try {
      for (const name of names(origin, source)) copyEntry(origin, { directory: source, name }, { directory: target, name }, depth)
      fchmodSync(target, mode)
    } finally {
      closeSync(target)
    }
  } finally {
    closeSync(source)
  }
}

/** One entry of any kind that can be copied, to a name that is free. */
export function copyEntry(origin: Place, from: Entry, to: Entry, depth = 0): void {
  const { asked } = origin.scope
  const stats = attempt(asked, () => lstatSync(entryPath(from.directory, from.name)))
  if (stats.isDirectory()) {
    copyLevel(origin, from, to, depth + 1)
    return
  }
  if (stats.isSymbolicLink()) {
    attempt(asked, () => symlinkSync(readlinkSync(entryPath(from.directory, from.name)), entryPath(to.directory, to.name)))
    return
  }
  if (!stats.isFile())
    throw new HostFailure('invalid_argument', `${JSON.stringify(asked)}: ${JSON.stringify(from.name)} is not a regular file`)
  const fd = attempt(asked, () =>
    openSync(entryPath(from.directory, from.name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK),
  )
  const copy = new TemporaryFile({ ...origin, directory: to.directory, name: to.name })
  try {
    attempt(asked, () => digestOf(fd, (chunk) => copy.write(chunk)))
    copy.commit(stats.mode & 0o777, true)
  } finally {
    copy.discard()
    closeSync(fd)
  }
}

type Visit = (directory: number, name: string, isDirectory: boolean) => void

/** Calls `before` for every entry below the place on the way down and `after` on the way up. */
function visit(place: Place, before: Visit, after?: Visit): void {
  const level = (entry: Entry, depth: number): void => {
    const directory = openLevel(place, entry, depth)
    try {
      for (const name of names(place, directory)) {
        const isDirectory = attempt(place.scope.asked, () => lstatSync(entryPath(directory, name)).isDirectory())
        before(directory, name, isDirectory)
        if (isDirectory) level({ directory, name }, depth + 1)
        if (after) attempt(place.scope.asked, () => after(directory, name, isDirectory))
      }
    } finally {
      closeSync(directory)
    }
  }
  level(place, 0)
}

function openLevel(place: Place, entry: Entry, depth: number): number {
  if (depth > MAX_DEPTH)
    throw new HostFailure('too_large', `${JSON.stringify(place.scope.asked)} is nested deeper than ${MAX_DEPTH} directories`)
  return attempt(place.scope.asked, () => openSync(entryPath(entry.directory, entry.name), OPEN_DIRECTORY))
}

/** Names as bytes in latin1 would not fit the rest; a name that is not UTF-8 shows as not found and fails the operation by name. */
function names(place: Place, directory: number): string[] {
  return attempt(place.scope.asked, () => readdirSync(descriptorPath(directory)))
}

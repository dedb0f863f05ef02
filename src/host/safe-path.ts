import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, readlinkSync, type Stats } from 'node:fs'
import { posix } from 'node:path'
import { errnoOf, fromSystemError, HostFailure } from './host-failure.ts'
import { isUnder, type SessionRoot } from './session-root.ts'
import type { FileScope } from './wire.ts'

/** Linux on every architecture that Node supports there. A descriptor with it names an inode and does not open it: no FIFO hangs, no device wakes. */
const O_PATH = 0o10000000
const DIRECTORY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW
const MAX_LINKS = 40

/** What `/proc/self/fd/N` leads to is the inode that was opened, whatever happens to its path meanwhile. */
export const descriptorPath = (fd: number): string => `/proc/self/fd/${fd}`

/** A name in an opened directory: the only form in which host touches a file. */
export const entryPath = (directory: number, name: string): string => `/proc/self/fd/${directory}/${name}`

/** A scope in real paths, lexically checked. */
export interface RealScope {
  /** As the caller wrote it, for messages. */
  asked: string
  path: string
  roots: string[]
  secrets: string
  session: string
}

export function realScope(root: SessionRoot, scope: FileScope): RealScope {
  const real = {
    asked: scope.path,
    path: root.toReal(scope.path),
    roots: scope.roots.map((path) => root.toReal(path)),
    secrets: root.secrets,
    session: root.directory,
  }
  checkPath(real, real.path, false)
  return real
}

/** Throws `path_denied` unless `path` lies under a root, outside the secrets and, for writing, in no `.git` (case folded: some file systems do). */
export function checkPath(scope: RealScope, path: string, writing: boolean): void {
  if (isUnder(path, scope.secrets) || !scope.roots.some((root) => isUnder(path, root)))
    throw new HostFailure('path_denied', `${JSON.stringify(scope.asked)} leads out of the allowed paths`)
  if (writing && path.slice(scope.session.length).split('/').some(isGit))
    throw new HostFailure('path_denied', `${JSON.stringify(scope.asked)} lies in a .git directory, which only git writes to`)
}

export const isGit = (name: string): boolean => name.toLowerCase() === '.git'

/**
 * Opens what a path leads to, through symlinks, and only then asks where it is: a link that is swapped at any moment leads either
 * inside or to a refusal. The descriptor is O_PATH; reopen it by `descriptorPath`. The caller closes it.
 */
export function openChecked(scope: RealScope): { fd: number; path: string; stats: Stats } {
  const fd = attempt(scope.asked, () => openSync(scope.path, O_PATH))
  try {
    const path = readlinkSync(descriptorPath(fd))
    checkPath(scope, path, false)
    return { fd, path, stats: fstatSync(fd) }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** A checked descriptor for reading. Regular files only: anything else could hang or have effects. */
export function openRegular(scope: RealScope): { fd: number; stats: Stats } {
  const found = openChecked(scope)
  try {
    if (found.stats.isDirectory()) throw new HostFailure('is_directory', `${JSON.stringify(scope.asked)} is a directory`)
    if (!found.stats.isFile()) throw new HostFailure('invalid_argument', `${JSON.stringify(scope.asked)} is not a regular file`)
    const fd = attempt(scope.asked, () => openSync(descriptorPath(found.fd), constants.O_RDONLY | constants.O_NONBLOCK))
    return { fd, stats: fstatSync(fd) }
  } finally {
    closeSync(found.fd)
  }
}

/** A directory held open and the name of an entry in it, which may or may not exist. */
export interface Place {
  /** O_PATH. The caller closes it. */
  directory: number
  name: string
  /** Real path when it was opened; free of symlinks. */
  path: string
  scope: RealScope
}

export interface PlaceOptions {
  /** Checks `.git` too. */
  writing: boolean
  createParents?: boolean
  /** A symlink as last component: take what it leads to (inside the roots, else `path_denied`) instead of the link itself. */
  followLast?: boolean
}

/**
 * Walks from `/session` to the directory that holds the path's last component, one opened directory at a time, without letting the
 * kernel follow a link. Links on the way are read and resolved here, and lead on only inside the roots. Throws before any effect.
 */
export function openPlace(scope: RealScope, options: PlaceOptions): Place {
  let path = scope.path
  for (let links = 0; links <= MAX_LINKS; links++) {
    checkPath(scope, path, options.writing)
    if (path === scope.session)
      throw new HostFailure('path_denied', `${JSON.stringify(scope.asked)} is the session's directory itself`)
    const next = walk(scope, path, options)
    if (typeof next !== 'string') return next
    path = next
  }
  throw new HostFailure('path_denied', `${JSON.stringify(scope.asked)} leads through too many symbolic links`)
}

/** @returns the place, or the path to go on with after a symlink. */
function walk(scope: RealScope, path: string, options: PlaceOptions): Place | string {
  const names = path.slice(scope.session.length + 1).split('/')
  const last = names.pop() as string
  let directory = attempt(scope.asked, () => openSync(scope.session, DIRECTORY))
  let at = scope.session
  let done = false
  try {
    for (const [index, name] of names.entries()) {
      const opened = step(scope, directory, at, name, options)
      if (typeof opened === 'string') return posix.join(posix.resolve(at, opened), ...names.slice(index + 1), last)
      closeSync(directory)
      directory = opened
      at = `${at}/${name}`
    }
    if (options.followLast) {
      const target = linkTarget(scope, directory, last)
      if (target !== null) return posix.resolve(at, target)
    }
    // A directory that was moved while we walked is where it is now, not where we looked for it.
    const parent = readlinkSync(descriptorPath(directory))
    checkPath(scope, `${parent}/${last}`, options.writing)
    done = true
    return { directory, name: last, path: `${parent}/${last}`, scope }
  } finally {
    if (!done) closeSync(directory)
  }
}

/** Opens `name` in `directory`, or gives a symlink's target. */
function step(scope: RealScope, directory: number, at: string, name: string, options: PlaceOptions): number | string {
  for (let tries = 0; ; tries++) {
    try {
      return openSync(entryPath(directory, name), DIRECTORY)
    } catch (error) {
      const errno = errnoOf(error)
      const target = errno === 'ENOTDIR' || errno === 'ELOOP' ? linkTarget(scope, directory, name) : null
      if (target !== null) return target
      if (errno !== 'ENOENT' || !options.createParents || tries > 0) throw fromSystemError(error, scope.asked)
      checkPath(scope, `${at}/${name}`, true)
      checkPath(scope, `${readlinkSync(descriptorPath(directory))}/${name}`, true)
      makeDirectory(scope, directory, name)
    }
  }
}

function makeDirectory(scope: RealScope, directory: number, name: string): void {
  try {
    mkdirSync(entryPath(directory, name), 0o755)
  } catch (error) {
    // Somebody else made it first: what it is shows when it is opened.
    if (errnoOf(error) !== 'EEXIST') throw fromSystemError(error, scope.asked)
  }
}

/** Null: not a symlink, or nothing there. */
function linkTarget(scope: RealScope, directory: number, name: string): string | null {
  try {
    return readlinkSync(entryPath(directory, name))
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'EINVAL' || errno === 'ENOENT') return null
    throw fromSystemError(error, scope.asked)
  }
}

/** What the place holds now, itself (links are not followed); null: nothing. */
export function lstatPlace(place: Place): Stats | null {
  try {
    return lstatSync(entryPath(place.directory, place.name))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw fromSystemError(error, place.scope.asked)
  }
}

/** Runs a file system call; its errors name the asked path. */
export function attempt<T>(asked: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw fromSystemError(error, asked)
  }
}

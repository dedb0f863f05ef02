import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, mkdirSync, openSync, type Stats, unlinkSync } from 'node:fs'
import { errnoOf, HostFailure } from '../host-failure.ts'
import { attempt, entryPath, lstatPlace, openPlace, type Place, type RealScope } from '../safe-path.ts'
import type { SessionRoot } from '../session-root.ts'
import { digestOf, TemporaryFile } from './atomic-file.ts'

/** Where the content before the last write lies, one level: `/session/.undo/<sha256 of the path as tools name it>`. */
const UNDO = '.undo'
const MAX_KEPT_BYTES = 64 * 1024 * 1024

export const undoName = (sessionPath: string): string => createHash('sha256').update(sessionPath).digest('hex')

/**
 * Copies what is about to be replaced, with its mode, to `/session/.undo`. When there is nothing to replace, an older copy is
 * removed: undo of a file that was created has nothing to restore.
 */
export function keepPrevious(root: SessionRoot, scope: RealScope, place: Place, old: Stats | null): void {
  if (old && old.size > MAX_KEPT_BYTES)
    throw new HostFailure('too_large', `${JSON.stringify(scope.asked)}: its previous content is too large to be kept for an undo`)
  const kept = openUndo(root, undoName(scope.asked))
  try {
    if (!old) {
      removeIfThere(kept)
      return
    }
    const source = attempt(scope.asked, () =>
      openSync(entryPath(place.directory, place.name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK),
    )
    const copy = new TemporaryFile(kept)
    try {
      digestOf(source, (chunk) => copy.write(chunk))
      copy.commit(old.mode & 0o777, false)
    } finally {
      copy.discard()
      closeSync(source)
    }
  } finally {
    closeSync(kept.directory)
  }
}

/** What was kept of an earlier file of this name is no previous content of what comes now. */
export function forgetPrevious(root: SessionRoot, asked: string): void {
  const kept = openUndo(root, undoName(asked))
  try {
    removeIfThere(kept)
  } finally {
    closeSync(kept.directory)
  }
}

/**
 * Hands what was kept of a path, with its mode, to `put`, and forgets it after. What lies in `/session/.undo` may have been
 * planted by what runs in the sandbox: it is trusted no more than the file itself.
 * @throws HostFailure not_found
 */
export function takePrevious<T>(root: SessionRoot, asked: string, put: (content: number, mode: number) => T): T {
  const kept = openUndo(root, undoName(asked))
  try {
    const stats = lstatPlace(kept)
    if (!stats?.isFile()) throw new HostFailure('not_found', `there is no previous content of ${JSON.stringify(asked)}`)
    const content = attempt(asked, () =>
      openSync(entryPath(kept.directory, kept.name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK),
    )
    try {
      if (!fstatSync(content).isFile()) throw new HostFailure('changed', `${JSON.stringify(asked)}: its previous content changed`)
      const result = put(content, stats.mode & 0o777)
      removeIfThere(kept)
      return result
    } finally {
      closeSync(content)
    }
  } finally {
    closeSync(kept.directory)
  }
}

function openUndo(root: SessionRoot, name: string): Place {
  const directory = `${root.directory}/${UNDO}`
  const session = attempt('/session', () =>
    openSync(root.directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW),
  )
  try {
    mkdirSync(entryPath(session, UNDO), 0o700)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  } finally {
    closeSync(session)
  }
  const path = `${directory}/${name}`
  return openPlace(
    { asked: `/session/${UNDO}/${name}`, path, roots: [directory], secrets: root.secrets, session: root.directory },
    { writing: true },
  )
}

function removeIfThere(place: Place): void {
  try {
    unlinkSync(entryPath(place.directory, place.name))
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

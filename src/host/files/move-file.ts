import { randomBytes } from 'node:crypto'
import { closeSync, linkSync, renameSync, rmdirSync, type Stats, unlinkSync } from 'node:fs'
import type { Fields } from '../fields.ts'
import { HostFailure } from '../host-failure.ts'
import { attempt, entryPath, lstatPlace, openPlace, type Place, type RealScope, realScope } from '../safe-path.ts'
import { isUnder, type SessionRoot } from '../session-root.ts'
import type { MoveResult, RemoveResult } from '../wire.ts'
import { entryType } from './describe.ts'
import { copyTree, entryOf, refuseGitInside, removeTree } from './tree.ts'

/** Moves one entry; a symlink itself. With `overwrite` a file replaces a file, a directory only an empty directory. */
export function moveFile(root: SessionRoot, fields: Fields): Promise<MoveResult> {
  const overwrite = fields.boolean('overwrite')
  return withPlaces(root, fields, true, async (from, to, stats) => {
    prepareDestination(to, stats, overwrite)
    settle(from, to, stats, overwrite)
  })
}

/** Copies one entry, a directory only with `recursive`: whole under a temporary name, then by one rename. */
export function copyFile(root: SessionRoot, fields: Fields): Promise<MoveResult> {
  const overwrite = fields.boolean('overwrite')
  const recursive = fields.boolean('recursive')
  return withPlaces(root, fields, false, async (from, to, stats) => {
    if (stats.isDirectory()) {
      if (!recursive)
        throw new HostFailure('is_directory', `${JSON.stringify(from.scope.asked)} is a directory: copy it with recursive`)
      await refuseGitInside(from)
    }
    checkDestination(to, stats, overwrite)
    const temporary: Place = { ...to, name: `.cloister-${randomBytes(9).toString('hex')}.tmp` }
    try {
      await copyTree(from.scope.asked, entryOf(from), entryOf(temporary))
      prepareDestination(to, stats, overwrite)
      settle(temporary, to, stats, overwrite)
    } catch (error) {
      await discard(temporary)
      throw error
    }
  })
}

/** Removes one entry; a symlink itself. Nothing there is `existed: false`. A root is never removed. */
export async function removeFile(root: SessionRoot, fields: Fields): Promise<RemoveResult> {
  const scope = realScope(root, fields.scope())
  refuseRoot(scope)
  const recursive = fields.boolean('recursive')
  let place: Place
  try {
    place = openPlace(scope, { writing: true })
  } catch (error) {
    if (error instanceof HostFailure && error.code === 'not_found') return { existed: false }
    throw error
  }
  try {
    const stats = lstatPlace(place)
    if (!stats) return { existed: false }
    if (!stats.isDirectory()) {
      attempt(scope.asked, () => unlinkSync(entryPath(place.directory, place.name)))
    } else if (recursive) {
      await refuseGitInside(place)
      await removeTree(place)
    } else {
      throw new HostFailure('is_directory', `${JSON.stringify(scope.asked)} is a directory: remove it with recursive`)
    }
    return { existed: true }
  } finally {
    closeSync(place.directory)
  }
}

async function withPlaces(
  root: SessionRoot,
  fields: Fields,
  moves: boolean,
  act: (from: Place, to: Place, stats: Stats) => Promise<void>,
): Promise<MoveResult> {
  const source = realScope(root, fields.object('source').scope())
  const destination = realScope(root, fields.object('destination').scope())
  if (moves) refuseRoot(source)
  refuseRoot(destination)
  const createParents = fields.boolean('create_parents')
  // Reading under .git is harmless, moving out of it is not.
  const from = openPlace(source, { writing: moves })
  try {
    const stats = lstatPlace(from)
    if (!stats) throw new HostFailure('not_found', `${JSON.stringify(source.asked)}: there is no such file or directory`)
    // Before parents are made, and again for where links led.
    if (stats.isDirectory()) refuseInside(from.path, destination.path)
    const to = openPlace(destination, { writing: true, createParents })
    try {
      if (from.path === to.path) throw new HostFailure('invalid_argument', 'source and destination are the same')
      if (stats.isDirectory()) refuseInside(from.path, to.path)
      await act(from, to, stats)
      return { type: entryType(stats) }
    } finally {
      closeSync(to.directory)
    }
  } finally {
    closeSync(from.directory)
  }
}

function refuseInside(source: string, destination: string): void {
  if (isUnder(destination, source)) throw new HostFailure('invalid_argument', 'a directory cannot go into itself')
}

/** Throws unless the source may take the destination's place. @returns what is there. */
function checkDestination(to: Place, source: Stats, overwrite: boolean): Stats | null {
  const there = lstatPlace(to)
  if (!there) return null
  const asked = JSON.stringify(to.scope.asked)
  if (!overwrite) throw new HostFailure('exists', `${asked} exists already`)
  if (there.isDirectory() && !source.isDirectory()) throw new HostFailure('is_directory', `${asked} is a directory`)
  if (!there.isDirectory() && source.isDirectory()) throw new HostFailure('not_a_directory', `${asked} is not a directory`)
  return there
}

/** As `checkDestination`; an empty directory is removed for the one that takes its place. */
function prepareDestination(to: Place, source: Stats, overwrite: boolean): void {
  if (checkDestination(to, source, overwrite)?.isDirectory())
    attempt(to.scope.asked, () => rmdirSync(entryPath(to.directory, to.name)))
}

/** Renames. Without `overwrite` a file is linked instead, which fails where a rename would replace what came in between. */
function settle(from: Place, to: Place, stats: Stats, overwrite: boolean): void {
  const source = entryPath(from.directory, from.name)
  const destination = entryPath(to.directory, to.name)
  attempt(to.scope.asked, () => {
    if (overwrite || stats.isDirectory()) {
      renameSync(source, destination)
    } else {
      linkSync(source, destination)
      unlinkSync(source)
    }
  })
}

function refuseRoot(scope: RealScope): void {
  if (scope.roots.includes(scope.path))
    throw new HostFailure('path_denied', `${JSON.stringify(scope.asked)} is a root of the workspace and stays`)
}

async function discard(temporary: Place): Promise<void> {
  const stats = lstatPlace(temporary)
  if (stats?.isDirectory()) await removeTree(temporary)
  else if (stats) unlinkSync(entryPath(temporary.directory, temporary.name))
}

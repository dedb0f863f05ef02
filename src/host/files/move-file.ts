import { randomBytes } from 'node:crypto'
import { closeSync, linkSync, renameSync, rmdirSync, type Stats, unlinkSync } from 'node:fs'
import type { Fields } from '../fields.ts'
import { HostFailure } from '../host-failure.ts'
import { attempt, entryPath, lstatPlace, openPlace, type Place, type RealScope, realScope } from '../safe-path.ts'
import { isUnder, type SessionRoot } from '../session-root.ts'
import type { MoveResult, RemoveResult } from '../wire.ts'
import { entryType } from './describe.ts'
import { copyEntry, refuseGitInside, removeTree } from './tree.ts'

/** Moves one entry; a symlink itself. With `overwrite` a file replaces a file, nothing replaces a directory that is not empty. */
export function moveFile(root: SessionRoot, fields: Fields): MoveResult {
  return withPlaces(root, fields, true, (from, to, stats) => {
    const source = entryPath(from.directory, from.name)
    const destination = entryPath(to.directory, to.name)
    const free = prepareDestination(to, stats, fields.boolean('overwrite'))
    attempt(to.scope.asked, () => {
      if (free && !stats.isDirectory()) {
        // link fails where rename would replace what came in between.
        linkSync(source, destination)
        unlinkSync(source)
      } else {
        renameSync(source, destination)
      }
    })
  })
}

/** Copies one entry, a directory only with `recursive`: whole under a temporary name, then by one rename. */
export function copyFile(root: SessionRoot, fields: Fields): MoveResult {
  return withPlaces(root, fields, false, (from, to, stats) => {
    if (stats.isDirectory()) {
      if (!fields.boolean('recursive'))
        throw new HostFailure('is_directory', `${JSON.stringify(from.scope.asked)} is a directory: copy it with recursive`)
      if (isUnder(to.path, from.path)) throw new HostFailure('invalid_argument', 'a directory cannot be copied into itself')
      refuseGitInside(from)
    }
    prepareDestination(to, stats, fields.boolean('overwrite'))
    const temporary: Place = { ...to, name: `.cloister-${randomBytes(9).toString('hex')}.tmp` }
    try {
      copyEntry(from, from, temporary)
      attempt(to.scope.asked, () => renameSync(entryPath(to.directory, temporary.name), entryPath(to.directory, to.name)))
    } catch (error) {
      discard(temporary)
      throw error
    }
  })
}

/** Removes one entry; a symlink itself. Nothing there is `existed: false`. A root is never removed. */
export function removeFile(root: SessionRoot, fields: Fields): RemoveResult {
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
      refuseGitInside(place)
      removeTree(place)
    } else {
      throw new HostFailure('is_directory', `${JSON.stringify(scope.asked)} is a directory: remove it with recursive`)
    }
    return { existed: true }
  } finally {
    closeSync(place.directory)
  }
}

function withPlaces(
  root: SessionRoot,
  fields: Fields,
  moves: boolean,
  act: (from: Place, to: Place, stats: Stats) => void,
): MoveResult {
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
    const to = openPlace(destination, { writing: true, createParents })
    try {
      const there = lstatPlace(to)
      if (there && there.ino === stats.ino && there.dev === stats.dev && from.path === to.path)
        throw new HostFailure('invalid_argument', 'source and destination are the same')
      act(from, to, stats)
      return { type: entryType(stats) }
    } finally {
      closeSync(to.directory)
    }
  } finally {
    closeSync(from.directory)
  }
}

/** @returns whether the destination is free. An empty directory is removed for a directory that takes its place. */
function prepareDestination(to: Place, source: Stats, overwrite: boolean): boolean {
  const there = lstatPlace(to)
  if (!there) return true
  const asked = JSON.stringify(to.scope.asked)
  if (!overwrite) throw new HostFailure('exists', `${asked} exists already`)
  if (there.isDirectory() && !source.isDirectory()) throw new HostFailure('is_directory', `${asked} is a directory`)
  if (!there.isDirectory() && source.isDirectory()) throw new HostFailure('not_a_directory', `${asked} is not a directory`)
  if (there.isDirectory()) attempt(to.scope.asked, () => rmdirSync(entryPath(to.directory, to.name)))
  return false
}

function refuseRoot(scope: RealScope): void {
  if (scope.roots.includes(scope.path))
    throw new HostFailure('path_denied', `${JSON.stringify(scope.asked)} is a root of the workspace and stays`)
}

function discard(temporary: Place): void {
  const stats = lstatPlace(temporary)
  if (stats?.isDirectory()) removeTree(temporary)
  else if (stats) unlinkSync(entryPath(temporary.directory, temporary.name))
}

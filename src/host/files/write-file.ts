import { closeSync, constants, fchmodSync, mkdirSync, openSync, type Stats } from 'node:fs'
import type { Fields } from '../fields.ts'
import { HostFailure } from '../host-failure.ts'
import { attempt, entryPath, lstatPlace, openPlace, type Place, realScope } from '../safe-path.ts'
import type { SessionRoot } from '../session-root.ts'
import type { MkdirResult, WriteResult } from '../wire.ts'
import { digestOf, replaceable, TemporaryFile } from './atomic-file.ts'
import { keepPrevious } from './previous-content.ts'

export const MAX_WRITE_BYTES = 16 * 1024 * 1024
const DEFAULT_MODE = 0o644

/**
 * Writes a file whole. A symlink as last component is followed when it leads inside the roots (the link stays, what it names is
 * replaced); one that leads elsewhere is `path_denied`. Runs synchronously from the look at the old file to the rename, so that no
 * two writes of host's cross.
 */
export function writeFile(root: SessionRoot, fields: Fields): WriteResult {
  const scope = realScope(root, fields.scope())
  const content = fields.base64('content_base64', MAX_WRITE_BYTES)
  const createParents = fields.boolean('create_parents')
  const mode = fields.optional('mode', (name) => fields.mode(name))
  const keep = fields.optional('keep_previous', (name) => fields.boolean(name)) ?? false
  const expected = expectedDigest(fields)
  const place = openPlace(scope, { writing: true, createParents, followLast: true })
  try {
    const old = replaceable(place)
    if (expected !== undefined) checkExpected(place, old, expected)
    const file = new TemporaryFile(place)
    try {
      file.write(content)
      if (keep) keepPrevious(root, scope, place, old)
      const sha256 = file.commit(mode ?? (old ? old.mode & 0o777 : DEFAULT_MODE), expected === null)
      return { bytes_written: content.length, sha256, created: old === null, replayed: false }
    } finally {
      file.discard()
    }
  } finally {
    closeSync(place.directory)
  }
}

/** Undefined: not to be checked. Null: there must be no file. */
function expectedDigest(fields: Fields): string | null | undefined {
  if (!fields.has('expect_sha256')) return undefined
  if (fields.isNull('expect_sha256')) return null
  const value = fields.string('expect_sha256', 64)
  if (!/^[0-9a-f]{64}$/.test(value))
    throw new HostFailure('invalid_argument', 'expect_sha256: 64 lower-case hex digits or null are wanted')
  return value
}

function checkExpected(place: Place, old: Stats | null, expected: string | null): void {
  const asked = JSON.stringify(place.scope.asked)
  if (expected === null) {
    if (old) throw new HostFailure('changed', `${asked} exists now`)
    return
  }
  if (!old) throw new HostFailure('changed', `${asked} is not there any more`)
  const fd = attempt(place.scope.asked, () =>
    openSync(entryPath(place.directory, place.name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK),
  )
  try {
    if (digestOf(fd) !== expected) throw new HostFailure('changed', `${asked} changed since it was looked at: read it again`)
  } finally {
    closeSync(fd)
  }
}

/** An existing directory is `created: false`; anything else in its place is `exists`. */
export function makeDirectory(root: SessionRoot, fields: Fields): MkdirResult {
  const scope = realScope(root, fields.scope())
  const mode = fields.mode('mode')
  const place = openPlace(scope, { writing: true, createParents: fields.boolean('create_parents') })
  try {
    const old = lstatPlace(place)
    if (old?.isDirectory()) return { created: false }
    if (old) throw new HostFailure('exists', `${JSON.stringify(scope.asked)} exists and is not a directory`)
    const path = entryPath(place.directory, place.name)
    attempt(scope.asked, () => {
      mkdirSync(path, mode)
      // The umask took bits away.
      const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
      try {
        fchmodSync(fd, mode)
      } finally {
        closeSync(fd)
      }
    })
    return { created: true }
  } finally {
    closeSync(place.directory)
  }
}

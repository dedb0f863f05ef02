import { closeSync } from 'node:fs'
import type { Fields } from '../fields.ts'
import { HostFailure } from '../host-failure.ts'
import { openPlace, type Place, type RealScope, realScope } from '../safe-path.ts'
import type { SessionRoot } from '../session-root.ts'
import type { KeepResult, RestoreResult } from '../wire.ts'
import { digestOf, replaceable, TemporaryFile } from './atomic-file.ts'
import { forgetPrevious, keepPrevious, takePrevious } from './previous-content.ts'

/** What a command is about to change is kept as a write would keep it. A path whose directory is missing holds nothing. */
export function keepFile(root: SessionRoot, fields: Fields): KeepResult {
  try {
    return at(root, fields, false, (scope, place) => {
      const old = replaceable(place)
      keepPrevious(root, scope, place, old)
      return { kept: old !== null }
    })
  } catch (error) {
    if (!(error instanceof HostFailure) || error.code !== 'not_found') throw error
    forgetPrevious(root, fields.scope().path)
    return { kept: false }
  }
}

/** Puts the kept content in its place in one rename, also where the file was deleted meanwhile. */
export function restoreFile(root: SessionRoot, fields: Fields): RestoreResult {
  return at(root, fields, true, (scope, place) =>
    takePrevious(root, scope.asked, (content, mode) => {
      replaceable(place)
      const file = new TemporaryFile(place)
      try {
        digestOf(content, (chunk) => file.write(chunk))
        return { sha256: file.commit(mode, false) }
      } finally {
        file.discard()
      }
    }),
  )
}

/** Directories that the file needs are made: they went with it. */
function at<T>(root: SessionRoot, fields: Fields, createParents: boolean, act: (scope: RealScope, place: Place) => T): T {
  const scope = realScope(root, fields.scope())
  const place = openPlace(scope, { writing: true, createParents, followLast: true })
  try {
    return act(scope, place)
  } finally {
    closeSync(place.directory)
  }
}

import { realpathSync } from 'node:fs'
import { posix } from 'node:path'
import { HostFailure } from './host-failure.ts'

export const SESSION = '/session'

/**
 * Translates between paths as tools see them (`/session/...`) and real ones. They are the same in a mount namespace; without
 * one (process driver) a directory of the machine stands for `/session`.
 */
export class SessionRoot {
  /** Free of symlinks, so that it can be compared with what `/proc/self/fd/N` says. */
  readonly directory: string

  /** @param prefix absent: `/session` itself. Throws when it is not there. */
  constructor(prefix?: string) {
    this.directory = prefix === undefined ? SESSION : realpathSync(prefix)
  }

  /** Throws `path_denied` for anything that is not `/session` or below it. */
  toReal(path: string): string {
    const normal = normalize(path)
    if (!isUnder(normal, SESSION)) throw new HostFailure('path_denied', `${JSON.stringify(path)} does not lie in ${SESSION}`)
    return this.directory + normal.slice(SESSION.length)
  }

  /** Where a command runs: anywhere that exists; below `/session` translated. */
  workingDirectory(path: string): string {
    const normal = normalize(path)
    return isUnder(normal, SESSION) ? this.toReal(normal) : normal
  }

  get secrets(): string {
    return `${this.directory}/secrets`
  }
}

export function isUnder(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`)
}

function normalize(path: string): string {
  if (!path.startsWith('/')) throw new HostFailure('invalid_argument', `${JSON.stringify(path)}: an absolute path is wanted`)
  return posix.normalize(path).replace(/(.)\/+$/, '$1')
}

import { posix } from 'node:path'

export const WORKSPACE = '/session/code'
export const DATA = '/session/data'

/** A lexical verdict on a path argument. Symlinks are settled by host, without a race, when the path is opened. */
export type PathVerdict = { ok: true; path: string } | { ok: false; reason: string }

/**
 * Makes a tool's path argument absolute. Relative paths start at `/session/code`; absolute ones must lie under it or under
 * `/session/data`. `/session/secrets` is reachable by no path.
 */
export function resolvePath(path: string): PathVerdict {
  if (path.includes('\0')) return { ok: false, reason: 'a path must not hold a NUL byte' }
  if (path === '') return { ok: false, reason: 'a path must not be empty; "." is the workspace' }
  if (Buffer.byteLength(path) > 4096) return { ok: false, reason: 'a path must not be longer than 4096 bytes' }
  const absolute = posix.normalize(path.startsWith('/') ? path : `${WORKSPACE}/${path}`).replace(/(.)\/+$/, '$1')
  if (!isUnder(absolute, WORKSPACE) && !isUnder(absolute, DATA))
    return { ok: false, reason: `${JSON.stringify(path)} leaves the workspace: use a path under ${WORKSPACE} or ${DATA}` }
  return { ok: true, path: absolute }
}

export function isUnder(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`)
}

/** The absolute roots that a session's allowed paths stand for. `/session/data` is always among them. */
export function allowedRoots(allowedPaths: string[]): string[] {
  const roots = allowedPaths.map((path) => {
    const verdict = resolvePath(path)
    return verdict.ok ? verdict.path : null
  })
  return [...new Set([...roots.filter((root) => root !== null), DATA])]
}

/** Does the path have a component `.git`? (Also `.GIT`: some file systems fold case.) */
export function inGitDirectory(path: string): boolean {
  return path.split('/').some((part) => part.toLowerCase() === '.git')
}

/** As the caller wrote paths: relative to the workspace, or absolute under `/session/data`. */
export function displayPath(absolute: string): string {
  if (absolute === WORKSPACE) return '.'
  return isUnder(absolute, WORKSPACE) ? absolute.slice(WORKSPACE.length + 1) : absolute
}

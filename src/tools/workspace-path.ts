import { z } from 'zod'
import { allowedRoots, displayPath, isUnder, resolvePath, WORKSPACE } from '../domain/path.ts'

/** The schema of a path argument. Whether it stays in the workspace is a question for policy, not for the schema. */
export function pathArgument(description: string) {
  return z
    .string()
    .min(1)
    .max(4096)
    .describe(`${description} Relative paths start at ${WORKSPACE}; absolute ones must lie under ${WORKSPACE} or /session/data.`)
}

/** A path as outputs show it: relative to the workspace, or absolute under `/session/data`. Only for paths that were checked. */
export function shownPath(path: string): string {
  const verdict = resolvePath(path)
  return verdict.ok ? displayPath(verdict.path) : path
}

/** Does a path (relative to the workspace, or absolute) lie under what the session may use? Lexically; host settles symlinks. */
export function isAllowed(path: string, allowedPaths: string[]): boolean {
  const verdict = resolvePath(path)
  return verdict.ok && allowedRoots(allowedPaths).some((root) => isUnder(verdict.path, root))
}

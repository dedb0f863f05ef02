import { posix } from 'node:path'
import { errors, ToolError } from '../../domain/errors.ts'
import { allowedRoots, isUnder, resolvePath, WORKSPACE } from '../../domain/path.ts'

/**
 * Pathspecs that limit a git command to what the session may see, and, if given, to `paths`. Literal: a `*` in a name is a
 * star. Never empty: no pathspec would mean everything.
 * @throws CloisterError policy_denied for a path outside the session's; ToolError invalid_argument for one outside the repository
 */
export function pathspecs(allowedPaths: string[], paths: string[] = []): string[] {
  const roots = allowedRoots(allowedPaths).filter((root) => isUnder(root, WORKSPACE))
  if (paths.length === 0) {
    if (roots.length === 0)
      throw errors.policyDenied('path_scope', 'none of the paths that this session may use lies in the repository')
    return roots.map(literal)
  }
  return paths.map((path) => {
    const verdict = resolvePath(path)
    if (!verdict.ok) throw errors.policyDenied('path_scope', verdict.reason)
    if (!isUnder(verdict.path, WORKSPACE))
      throw new ToolError('invalid_argument', `${path} does not lie in the repository (${WORKSPACE})`)
    if (!roots.some((root) => isUnder(verdict.path, root)))
      throw errors.policyDenied(
        'path_scope',
        `${path} is not among the paths that this session may use: ${allowedPaths.join(', ')}`,
      )
    return literal(verdict.path)
  })
}

function literal(absolute: string): string {
  const path = posix.relative(WORKSPACE, absolute)
  return path === '' ? ':(top)' : `:(top,literal)${path}`
}

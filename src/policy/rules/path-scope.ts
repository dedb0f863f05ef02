import { allowedRoots, inGitDirectory, isUnder, resolvePath } from '../../domain/path.ts'
import type { PolicyRule } from '../policy-engine.ts'
import { strings } from '../string-arguments.ts'

/** Lexical: what a path says. Where its symlinks lead is settled by host when it opens them. */
export const pathScope: PolicyRule = {
  name: 'path_scope',
  check: ({ session, tool, args }) => {
    for (const { field, access } of tool.policy.paths) {
      for (const path of strings(args, field)) {
        const reason = pathRefusal(path, access, session.allowed_paths)
        if (reason !== null) return `${field}: ${reason}`
      }
    }
    return null
  },
}

/** Why this path may not be used so; null if it may. */
export function pathRefusal(path: string, access: 'read' | 'write', allowedPaths: string[]): string | null {
  const verdict = resolvePath(path)
  if (!verdict.ok) return verdict.reason
  if (!allowedRoots(allowedPaths).some((root) => isUnder(verdict.path, root)))
    return `${JSON.stringify(path)} is outside of what this session may use: ${[...allowedPaths, '/session/data'].join(', ')}`
  if (access === 'write' && inGitDirectory(verdict.path))
    return `${JSON.stringify(path)} lies in a .git directory, which only git writes`
  return null
}

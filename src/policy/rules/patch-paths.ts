import { patchPaths as pathsOf } from '../../domain/patch-paths.ts'
import type { PolicyRule } from '../policy-engine.ts'
import { strings } from '../string-arguments.ts'
import { pathRefusal } from './path-scope.ts'

/**
 * Every path that a patch names, on both sides, counts as written. A patch that cannot be read as git reads it is refused: what
 * it would touch is not known. (Tools that take patches say so in their input schema, so callers hear of it as an invalid argument.)
 */
export const patchPaths: PolicyRule = {
  name: 'patch_paths',
  check: ({ session, tool, args }) => {
    for (const field of tool.policy.patches) {
      for (const patch of strings(args, field)) {
        const parsed = pathsOf(patch)
        if ('error' in parsed) return `${field}: ${parsed.error}`
        for (const path of parsed.paths) {
          const reason = pathRefusal(path, 'write', session.allowed_paths)
          if (reason !== null) return `${field}: ${reason}`
        }
      }
    }
    return null
  },
}

import { allowedRoots, WORKSPACE } from '../../domain/path.ts'
import type { PolicyRule } from '../policy-engine.ts'

/** A tool without a path argument cannot be held to a part of the workspace. */
export const wholeRepository: PolicyRule = {
  name: 'whole_repository',
  check: ({ session, tool }) => {
    if (!tool.policy.whole_repository || allowedRoots(session.allowed_paths).includes(WORKSPACE)) return null
    return `${tool.name} works on the whole repository, and this session may only use ${session.allowed_paths.join(', ')}: it needs "." in allowed_paths`
  },
}

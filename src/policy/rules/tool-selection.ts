import { matchesToolPattern } from '../../domain/glob.ts'
import type { PolicyRule } from '../policy-engine.ts'

/** The session's own lists. An empty `allow` allows all; `deny` wins over `allow`. */
export const toolSelection: PolicyRule = {
  name: 'tool_selection',
  check: ({ session, tool }) => {
    const { allow, deny } = session.tools
    const denied = deny.find((pattern) => matchesToolPattern(pattern, tool.name))
    if (denied !== undefined) return `the session denies ${tool.name} (tools.deny holds ${JSON.stringify(denied)})`
    if (allow.length > 0 && !allow.some((pattern) => matchesToolPattern(pattern, tool.name)))
      return `the session does not allow ${tool.name}: tools.allow holds only ${allow.join(', ')}`
    return null
  },
}

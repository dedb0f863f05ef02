import type { PolicyRule } from '../policy-engine.ts'

const OPEN_SCOPES = new Set(['repo', 'workspace'])
const ROLES = ['devops', 'platform_admin']

/** What reaches beyond the session's volume is for those who run things. */
export const scopeRole: PolicyRule = {
  name: 'scope_role',
  check: ({ session, tool }) => {
    if (OPEN_SCOPES.has(tool.scope) || ROLES.some((role) => session.principal.roles.includes(role))) return null
    return `${tool.name} has scope ${tool.scope}, which needs the tool role ${ROLES.join(' or ')}`
  },
}

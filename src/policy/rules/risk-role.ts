import type { PolicyRule } from '../policy-engine.ts'

const OPEN_RISKS = new Set(['low', 'medium'])

export const riskRole: PolicyRule = {
  name: 'risk_role',
  check: ({ session, tool }) => {
    if (OPEN_RISKS.has(tool.risk_level) || session.principal.roles.includes('platform_admin')) return null
    return `${tool.name} has risk ${tool.risk_level}, which needs the tool role platform_admin`
  },
}

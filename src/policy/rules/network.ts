import type { PolicyRule } from '../policy-engine.ts'

export const network: PolicyRule = {
  name: 'network',
  check: ({ session, tool }) => {
    if (!tool.policy.needs_network || session.network === 'host') return null
    return `${tool.name} needs the network, and this session has none: create a session with network "host"`
  },
}

import { expect, it } from 'vitest'
import type { ToolMetadata } from '../../domain/tool.ts'
import { sampleRequest } from '../request.sample.ts'
import { riskRole } from './risk-role.ts'

it.each<{ risk: string; roles: string[]; refused: boolean }>([
  { risk: 'low', roles: [], refused: false },
  { risk: 'medium', roles: [], refused: false },
  { risk: 'high', roles: ['developer', 'devops'], refused: true },
  { risk: 'high', roles: ['platform_admin'], refused: false },
  { risk: 'extreme', roles: ['developer'], refused: true },
])('risk $risk with roles $roles: refused $refused', ({ risk, roles, refused }) => {
  const principal = { tenant_id: 'default', actor_id: 'alice', roles }
  const request = sampleRequest({ session: { principal }, tool: { risk_level: risk as ToolMetadata['risk_level'] } })
  expect(riskRole.check(request) !== null).toBe(refused)
})

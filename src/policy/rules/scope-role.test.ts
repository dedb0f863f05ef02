import { expect, it } from 'vitest'
import type { Caller } from '../../domain/principal.ts'
import type { ToolMetadata } from '../../domain/tool.ts'
import { sampleRequest } from '../request.sample.ts'
import { scopeRole } from './scope-role.ts'

it.each<{ scope: string; roles: string[]; refused: boolean }>([
  { scope: 'repo', roles: [], refused: false },
  { scope: 'workspace', roles: [], refused: false },
  { scope: 'cluster', roles: ['developer'], refused: true },
  { scope: 'external', roles: ['developer'], refused: true },
  { scope: 'cluster', roles: ['devops'], refused: false },
  { scope: 'external', roles: ['platform_admin'], refused: false },
  { scope: 'galaxy', roles: ['developer'], refused: true },
])('scope $scope with roles $roles: refused $refused', ({ scope, roles, refused }) => {
  const principal = { tenant_id: 'default', actor_id: 'alice', roles }
  const request = sampleRequest({ session: { principal }, tool: { scope: scope as ToolMetadata['scope'] } })
  expect(scopeRole.check(request) !== null).toBe(refused)
})

it("counts the session's roles, not the caller's", () => {
  const caller: Caller = { kind: 'user', tenant_id: 'default', actor_id: 'alice', admin: true, tool_roles: ['devops'] }
  expect(scopeRole.check(sampleRequest({ caller, tool: { scope: 'cluster' } }))).toContain('devops')
})

import { expect, it } from 'vitest'
import { type Approvers, allOf, approverEntryProblem, describeApprovers, isNamed, mayApprove } from './approvers.ts'

const owner = { tenant_id: 'acme', actor_id: 'alice' }
const person = (actor_id: string, fields: object = {}) => ({
  tenant_id: 'acme',
  actor_id,
  admin: false,
  tool_roles: [] as string[],
  ...fields,
})

it.each<[string, Approvers, ReturnType<typeof person>, boolean, boolean]>([
  ['the owner', [['owner', 'admin']], person('alice'), true, false],
  ['somebody', [['owner', 'admin']], person('bob'), false, false],
  ['the same name in another tenant', [['owner']], person('alice', { tenant_id: 'evil' }), false, false],
  ['an admin', [['owner', 'admin']], person('root', { admin: true }), true, false],
  ['an admin who is not asked', [['owner']], person('root', { admin: true }), false, false],
  ['the owner who is not asked', [['admin']], person('alice'), false, false],
  ['a named principal', [['principal:acme/bob']], person('bob'), true, true],
  ['a role', [['role:devops']], person('bob', { tool_roles: ['devops'] }), true, true],
  ['a role of another tenant', [['role:devops']], person('bob', { tenant_id: 'evil', tool_roles: ['devops'] }), false, false],
  ['both of two demands', [['role:devops'], ['admin']], person('bob', { admin: true, tool_roles: ['devops'] }), true, true],
  ['one of two demands', [['role:devops'], ['admin']], person('bob', { tool_roles: ['devops'] }), false, false],
  ['nobody is asked', [], person('alice', { admin: true }), false, false],
  ['an empty demand', [[]], person('alice', { admin: true }), false, false],
  ['a name that looks like an entry', [['admin']], person('admin'), false, false],
])('%s', (_, approvers, who, may, named) => {
  expect([mayApprove(approvers, who, owner), isNamed(approvers, who, owner)]).toEqual([may, named])
})

it.each([
  ['owner', true],
  ['admin', true],
  ['role:devops', true],
  ['principal:acme/bob', true],
  ['owners', false],
  ['role:', false],
  ['principal:bob', false],
  ['', false],
])('an entry %j is accepted: %s', (entry, fine) => {
  expect(approverEntryProblem(entry) === null).toBe(fine)
})

it('says and joins demands', () => {
  expect(allOf([['owner', 'admin'], ['admin', 'owner'], ['role:x']])).toEqual([['owner', 'admin'], ['role:x']])
  expect(describeApprovers([['owner', 'admin'], ['role:x']])).toBe('owner or admin, who is also role:x')
})

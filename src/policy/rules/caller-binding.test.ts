import { expect, it } from 'vitest'
import type { Caller } from '../../domain/principal.ts'
import { sampleRequest } from '../request.sample.ts'
import { callerBinding } from './caller-binding.ts'

const user: Caller & { kind: 'user' } = { kind: 'user', tenant_id: 'default', actor_id: 'alice', admin: false, tool_roles: [] }

it.each<{ what: string; caller: Caller; refused: boolean }>([
  { what: 'the owner', caller: user, refused: false },
  { what: 'somebody else', caller: { ...user, actor_id: 'mallory' }, refused: true },
  { what: 'the same name in another tenant', caller: { ...user, tenant_id: 'other' }, refused: true },
  { what: 'an admin', caller: { ...user, actor_id: 'root', admin: true }, refused: false },
  {
    what: "the session's agent",
    caller: { kind: 'agent', tenant_id: 'default', actor_id: 'alice', session_id: 'ses_sample' },
    refused: false,
  },
  {
    what: "another session's agent of the same owner",
    caller: { kind: 'agent', tenant_id: 'default', actor_id: 'alice', session_id: 'ses_other' },
    refused: true,
  },
  {
    what: "another session's MCP client",
    caller: { kind: 'mcp', tenant_id: 'default', actor_id: 'alice', session_id: 'ses_other' },
    refused: true,
  },
  { what: 'the system', caller: { kind: 'system' }, refused: false },
])('$what: refused $refused', ({ caller, refused }) => {
  expect(callerBinding.check(sampleRequest({ caller })) !== null).toBe(refused)
})

import { describe, expect, it } from 'vitest'
import type { Caller } from '../../domain/principal.ts'
import { sampleSession } from '../../domain/session.sample.ts'
import type { SaidText } from '../message-policy.ts'
import { CedarMessageSet } from './cedar-message-set.ts'

const alice: Caller = { kind: 'user', tenant_id: 'default', actor_id: 'alice', admin: false, tool_roles: ['developer'] }
const set = (text: string) => new CedarMessageSet([{ name: 'messages/a.cedar', text }])
const said = (text: string, fields: Partial<SaidText> = {}): SaidText => ({
  kind: 'message',
  caller: alice,
  session: sampleSession({ metadata: { team: 'payments' } }),
  model: 'anthropic/claude-x',
  text,
  ...fields,
})

const RULES = `
@id("anything")
permit (principal, action, resource);

@id("no-keys")
@reason("private keys do not belong into a conversation")
forbid (principal, action, resource)
when { context.text like "*BEGIN*PRIVATE KEY*" };

@id("short-answers")
forbid (principal, action == Action::"answer", resource)
when { context.characters > 100 };

@id("payments-by-claude-only")
forbid (principal, action, resource)
when { resource.hasTag("team") && resource.getTag("team") == "payments" }
unless { context.model like "anthropic/*" };
`

describe('policies about what is said', () => {
  it.each([
    ['what nothing forbids', said('hello'), null],
    ['a message that is long', said('x'.repeat(200)), null],
    ['an answer that is long', said('x'.repeat(200), { kind: 'answer' }), ['short-answers']],
    ['a key', said('-----BEGIN EC PRIVATE KEY-----'), ['no-keys']],
    ['another model', said('hello', { model: 'openai/x' }), ['payments-by-claude-only']],
  ])('decide about %s', (_, what, policies) => {
    expect(set(RULES).refuse(what)?.policies ?? null).toEqual(policies)
  })

  it('refuse with their reason, and name the set', () => {
    expect(set(RULES).refuse(said('BEGIN PRIVATE KEY'))).toEqual({
      reason: 'forbidden by no-keys: private keys do not belong into a conversation',
      policies: ['no-keys'],
      policy_version: expect.stringMatching(/^[0-9a-f]{16}$/),
    })
  })

  it('refuse what none permits', () => {
    expect(set('permit (principal, action == Action::"answer", resource);').refuse(said('hello'))).toMatchObject({
      reason: 'no policy permits it',
    })
  })

  it('refuse what could only wait for an approval, and what fails while it is judged', () => {
    expect(set('@approval("required")\npermit (principal, action, resource);').refuse(said('hello'))?.reason).toContain(
      'approval',
    )
    const failing = `permit (principal, action, resource);
      forbid (principal, action, resource) when { context.characters * 9223372036854775807 > 0 };`
    expect(set(failing).refuse(said('hello'))?.reason).toContain('could not be evaluated')
  })

  it.each([
    ['a tool', 'permit (principal, action == Action::"fs.read", resource);', /messages\/a\.cedar:1: .*fs\.read/],
    [
      'an attribute that calls have',
      'permit (principal, action, resource)\nwhen { context.needs_approval };',
      /messages\/a\.cedar:2: /,
    ],
  ])('cannot speak of %s', (_, text, message) => {
    expect(() => set(text)).toThrow(message)
  })
})

import { expect, test } from 'vitest'
import type { Event } from '../domain/event.ts'
import type { Actor } from '../domain/principal.ts'
import { CallProgress } from './call-progress.ts'

const ME: Actor = { kind: 'mcp', id: 'default/alice' }

const requested = (actor: Actor, invocation_id: string, correlation_id = 'mine') =>
  ({ type: 'invocation.requested', seq: 1, actor, data: { invocation_id, correlation_id } }) as unknown as Event

test.each<[string, Actor]>([
  ['somebody else', { kind: 'mcp', id: 'default/bob' }],
  ['the agent of the same principal', { kind: 'agent', id: 'default/alice' }],
])('a call of %s under the same correlation id is not taken for its own', async (_, actor) => {
  const seen: string[] = []
  const progress = new CallProgress({ correlation_id: 'mine', actor: ME }, async ({ message }) => void seen.push(message))
  progress.take(requested(actor, 'inv_theirs'))
  expect(progress.invocationId).toBeNull()
  progress.take({ session_id: 's', type: 'invocation.output', at: '', data: { invocation_id: 'inv_theirs', text: 'theirs' } })
  progress.take(requested(ME, 'inv_mine'))
  expect(progress.invocationId).toBe('inv_mine')
  progress.take({ session_id: 's', type: 'invocation.output', at: '', data: { invocation_id: 'inv_mine', text: 'mine' } })
  await progress.sent()
  expect(seen).toEqual(['mine'])
})

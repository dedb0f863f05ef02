import { expect, test } from 'vitest'
import type { Event } from '../client/cloister-client.ts'
import { eventLine } from './event-line.ts'

function event(
  type: Event['type'],
  data: Record<string, unknown>,
  actor: Event['actor'] = { kind: 'agent', id: 'default/ada' },
): Event {
  return { session_id: 's', seq: 7, type, at: '2026-11-20T10:11:12.345Z', actor, data, prev_hash: '', hash: '' }
}

test.each([
  [
    event('invocation.completed', { tool_name: 'fs.read', status: 'succeeded', duration_ms: 4, error: null }),
    '   7  10:11:12.345  invocation.completed   agent   fs.read succeeded, 4 ms',
  ],
  [
    event('invocation.denied', {
      tool_name: 'fs.read',
      status: 'denied',
      error: { code: 'policy_denied', message: 'leaves the workspace' },
    }),
    '   7  10:11:12.345  invocation.denied      agent   fs.read policy_denied: leaves the workspace',
  ],
  [
    event('session.state_changed', { from: 'idle', to: 'closed', reason: 'it was time' }, { kind: 'user', id: 'default/ada' }),
    '   7  10:11:12.345  session.state_changed  ada     idle -> closed: it was time',
  ],
  [
    event('turn.answered', { step: 2, text: 'I look.', calls: [{ tool_name: 'fs.list' }, { tool_name: 'fs.read' }] }),
    '   7  10:11:12.345  turn.answered          agent   step 2: I look. -> fs.list, fs.read',
  ],
  [
    event('context.compacted', { kind: 'summary', tokens_before: 9000, tokens_after: 2000, through: { turn_id: 't', step: 3 } }),
    '   7  10:11:12.345  context.compacted      agent   a summary replaces the oldest part: 9000 -> 2000 tokens',
  ],
  [
    event('message.denied', { kind: 'answer', characters: 12, reason: 'forbidden by no-keys' }),
    '   7  10:11:12.345  message.denied         agent   answer of 12 characters: forbidden by no-keys',
  ],
  [
    event('approval.expired', { tool_name: 'fs.write', reason: 'nobody decided in time' }),
    '   7  10:11:12.345  approval.expired       agent   fs.write: nobody decided in time',
  ],
  [event('session.updated', { name: 'x' }), '   7  10:11:12.345  session.updated        agent   name=x'],
])('%#', (given, line) => {
  expect(eventLine(given)).toBe(line)
})

test('is one line, whatever the event holds', () => {
  const line = eventLine(event('message.created', { role: 'user', content: `a\n\u001b[2Jb${'c'.repeat(5000)}` }))
  expect(line).toContain('user: a␊b')
  for (const character of ['\n', '\u001b']) expect(line).not.toContain(character)
  expect(line.length).toBeLessThan(200)
})

test.each(['turn.answered', 'invocation.completed', 'model.called', 'sandbox.started', 'artifact.stored'] as const)(
  '%s without what it should hold is still shown',
  (type) => {
    expect(eventLine(event(type, {}))).toContain(type)
  },
)

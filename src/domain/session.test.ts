import { expect, it } from 'vitest'
import { CloisterError } from './errors.ts'
import { sampleSession } from './session.sample.ts'
import { admits, nextState, SESSION_STATES, type SessionAction, type SessionState } from './session.ts'

/** The whole table: a state or the code of the refusal, for each action and state. */
const TABLE: Record<SessionAction, Record<SessionState, string>> = {
  initialized: {
    initializing: 'idle',
    idle: 'conflict',
    busy: 'conflict',
    closed: 'session_closed',
    error: 'conflict',
    deleted: 'not_found',
  },
  initialization_failed: {
    initializing: 'error',
    idle: 'conflict',
    busy: 'conflict',
    closed: 'session_closed',
    error: 'conflict',
    deleted: 'not_found',
  },
  reinitialize: {
    initializing: 'conflict',
    idle: 'initializing',
    busy: 'conflict',
    closed: 'session_closed',
    error: 'conflict',
    deleted: 'not_found',
  },
  turn_started: {
    initializing: 'conflict',
    idle: 'busy',
    busy: 'conflict',
    closed: 'session_closed',
    error: 'conflict',
    deleted: 'not_found',
  },
  turn_ended: {
    initializing: 'conflict',
    idle: 'conflict',
    busy: 'idle',
    closed: 'session_closed',
    error: 'conflict',
    deleted: 'not_found',
  },
  close: { initializing: 'closed', idle: 'closed', busy: 'closed', closed: 'conflict', error: 'closed', deleted: 'not_found' },
  restore: {
    initializing: 'conflict',
    idle: 'conflict',
    busy: 'conflict',
    closed: 'initializing',
    error: 'initializing',
    deleted: 'not_found',
  },
  delete: {
    initializing: 'deleted',
    idle: 'deleted',
    busy: 'deleted',
    closed: 'deleted',
    error: 'deleted',
    deleted: 'not_found',
  },
}

const cells = Object.entries(TABLE).flatMap(([action, row]) =>
  Object.entries(row).map(([state, expected]) => [action as SessionAction, state as SessionState, expected] as const),
)

it.each(cells)('%s while %s: %s', (action, state, expected) => {
  const outcome = nextState(state, action)
  expect(outcome instanceof CloisterError ? outcome.code : outcome).toBe(expected)
})

it.each([
  ['initializing', 'conflict', null],
  ['idle', null, null],
  ['busy', null, null],
  ['closed', 'session_closed', 'session_closed'],
  ['error', 'conflict', 'conflict'],
  ['deleted', 'not_found', 'not_found'],
] as const)('%s: a tool call gets %s, a message %s', (state, invoke, message) => {
  expect(admits(sampleSession({ state }), 'invoke')?.code ?? null).toBe(invoke)
  expect(admits(sampleSession({ state }), 'message')?.code ?? null).toBe(message)
})

it('the table names every state', () => {
  expect(cells).toHaveLength(Object.keys(TABLE).length * SESSION_STATES.length)
})

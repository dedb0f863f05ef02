import { expect, test } from 'vitest'
import { PendingCalls } from './pending-calls.ts'

const call = (caller: string, n: number) => ({ caller, session_id: 'ses_1', tool_name: 'fs.write', args: { n } })

function wait(pending: PendingCalls, caller: string, n: number): string {
  const found = pending.find(call(caller, n))
  pending.waits(found, found.id)
  return found.id
}

test('the same call of the same caller has its id until it is over', () => {
  const pending = new PendingCalls()
  const id = wait(pending, 'default/alice', 1)
  expect(pending.find(call('default/alice', 1)).id).toBe(id)
  expect(pending.find(call('default/alice', 2)).id).not.toBe(id)
  expect(pending.find(call('default/bob', 1)).id).not.toBe(id)
  pending.isOver(pending.find(call('default/alice', 1)))
  expect(pending.find(call('default/alice', 1)).id).not.toBe(id)
})

test('a client may name its own id', () => {
  const pending = new PendingCalls()
  pending.waits(pending.find(call('default/alice', 1)), 'mine')
  expect(pending.find(call('default/alice', 1)).id).toBe('mine')
})

test("a caller's many calls push out its own oldest, and nobody else's", () => {
  const pending = new PendingCalls()
  const theirs = wait(pending, 'default/bob', 0)
  const ids = Array.from({ length: 20_000 }, (_, n) => wait(pending, 'default/alice', n))
  expect(pending.find(call('default/bob', 0)).id).toBe(theirs)
  expect(pending.find(call('default/alice', 20_000 - 256)).id).toBe(ids[20_000 - 256])
  expect(pending.find(call('default/alice', 20_000 - 257)).id).not.toBe(ids[20_000 - 257])
})

test('many callers push out the oldest of whoever has most', () => {
  const pending = new PendingCalls()
  const few = wait(pending, 'default/bob', 0)
  // 39 callers with 256 each are 9984; fifteen more fill it up.
  for (let caller = 0; caller < 39; caller++) for (let n = 0; n < 256; n++) wait(pending, `other/${caller}`, n)
  const late = Array.from({ length: 20 }, (_, n) => wait(pending, 'default/carol', n))
  expect(pending.find(call('default/bob', 0)).id).toBe(few)
  expect(late.map((_, n) => pending.find(call('default/carol', n)).id)).toEqual(late)
})

import { join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Store } from '../store.ts'
import { openSqliteStore } from './open-sqlite-store.ts'
import { scratch, session } from './records.fixture.ts'
import type { SqlStore } from './sql-store.ts'

let store: SqlStore

beforeEach(async () => {
  store = await openSqliteStore(join(scratch(onTestFinished), 'store.db'))
  onTestFinished(() => store.close())
})

async function names(from: Store = store): Promise<string[]> {
  return (await from.sessions.active()).map((entry) => entry.name).sort()
}

test('transactions run one after the other, and others wait their turn', async () => {
  const made = session({ last_generation: 0 })
  await store.sessions.insert(made)
  await Promise.all(
    Array.from({ length: 20 }, () =>
      store.transaction(async (tx) => {
        const { last_generation } = (await tx.sessions.get(made.id)) as { last_generation: number }
        await setImmediate()
        await tx.sessions.update(made.id, { last_generation: last_generation + 1 })
      }),
    ),
  )
  expect((await store.sessions.get(made.id))?.last_generation).toBe(20)
})

test('nobody sees what is not committed', async () => {
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const transaction = store.transaction(async (tx) => {
    await tx.sessions.insert(session({ name: 'half' }))
    await held
    throw new Error('undone')
  })
  const seen = names()
  release()
  await expect(transaction).rejects.toThrow('undone')
  expect(await seen).toEqual([])
})

describe('inside a transaction', () => {
  test.each([
    ['a read', (outer: Store) => outer.sessions.get('x')],
    [
      'a write',
      (outer: Store) => outer.events.append('x', { type: 'session.created', at: '', actor: { kind: 'user', id: '' }, data: {} }),
    ],
    ['another transaction', (outer: Store) => outer.transaction(async () => {})],
  ])('%s on the outer store throws instead of waiting for ever', async (_, use) => {
    const attempt = store.transaction(async (tx) => {
      await tx.sessions.insert(session())
      await use(store)
    })
    await expect(attempt).rejects.toThrow('use the `tx`')
    expect(await names()).toEqual([])
  })

  test('what it left running may use the outer store afterwards', async () => {
    let later: Promise<string[]> | undefined
    await store.transaction(async (tx) => {
      await tx.sessions.insert(session({ name: 'one' }))
      later = setTimeout(20).then(() => names())
    })
    expect(await later).toEqual(['one'])
  })

  test('`tx` is of no use afterwards', async () => {
    let kept: Store | undefined
    await store.transaction(async (tx) => {
      kept = tx
    })
    await expect(kept?.sessions.insert(session())).rejects.toThrow('already committed')
    expect(await names()).toEqual([])
  })

  test('a transaction undoes its own part only, if somebody catches what it throws', async () => {
    await store.transaction(async (tx) => {
      await tx.sessions.insert(session({ name: 'outer' }))
      const inner = tx.transaction(async (deeper) => {
        await deeper.sessions.insert(session({ name: 'inner' }))
        await deeper.transaction((deepest) => deepest.sessions.insert(session({ name: 'innermost' })))
        expect(await names(deeper)).toEqual(['inner', 'innermost', 'outer'])
        throw new Error('inner')
      })
      await expect(inner).rejects.toThrow('inner')
      await tx.transaction((deeper) => deeper.sessions.insert(session({ name: 'second' })))
    })
    expect(await names()).toEqual(['outer', 'second'])
  })

  test('two transactions at once are refused', async () => {
    const attempt = store.transaction((tx) =>
      Promise.all([tx.transaction(() => setTimeout(5)), tx.transaction((deeper) => deeper.sessions.insert(session()))]),
    )
    await expect(attempt).rejects.toThrow('two transactions at once')
    expect(await names()).toEqual([])
  })

  test('a conflict does not end it', async () => {
    const made = session({ name: 'kept' })
    await store.transaction(async (tx) => {
      await tx.sessions.insert(made)
      await expect(tx.sessions.insert(made)).rejects.toMatchObject({ code: 'conflict' })
      await tx.sessions.insert(session({ name: 'more' }))
    })
    expect(await names()).toEqual(['kept', 'more'])
  })
})

test('after close everything is store_unavailable; what ran before is done', async () => {
  const made = session()
  const [inserted] = await Promise.allSettled([store.transaction((tx) => tx.sessions.insert(made)), store.close()])
  expect(inserted.status).toBe('fulfilled')
  await expect(store.ping()).rejects.toMatchObject({ code: 'store_unavailable' })
  await expect(store.transaction(async () => {})).rejects.toMatchObject({ code: 'store_unavailable' })
  await store.close()
})

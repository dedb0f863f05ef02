import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { ConnectorReview, ListedTool } from '../../domain/connector.ts'
import { newId } from '../../domain/ids.ts'
import { openSqliteStore } from './open-sqlite-store.ts'
import type { SqlStore } from './sql-store.ts'

let folder: string
let store: SqlStore
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-connectors-'))
  store = await openSqliteStore(join(folder, 'cloister.db'))
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

const tool: ListedTool = {
  name: 'act',
  title: null,
  description: 'Acts.',
  input_schema: { type: 'object' },
  output_schema: null,
  annotations: { readOnlyHint: true },
}
const review = (connector: string, digest: string, at: number): ConnectorReview => ({
  id: newId('crv', at),
  connector,
  source_digest: 's',
  digest,
  tools: [{ ...tool, description: digest }],
  reviewed_by: 'default/admin',
  reviewed_at: new Date(at).toISOString(),
})

it('keeps every review, and knows the last of each connector', async () => {
  for (const each of [review('a', 'one', 1), review('b', 'two', 2), review('a', 'three', 3)])
    await store.connectors.insertReview(each)
  const latest = await store.connectors.latestReviews()
  expect(latest.map(({ connector, digest, tools }) => [connector, digest, tools[0]?.description])).toEqual([
    ['a', 'three', 'three'],
    ['b', 'two', 'two'],
  ])
  expect((await store.connectors.reviews('a', 10)).map(({ digest }) => digest)).toEqual(['three', 'one'])
  expect(await store.connectors.reviews('a', 1)).toHaveLength(1)
})

it('has one flag for a connector, until it is taken away', async () => {
  const flag = { connector: 'a', digest: 'x', differences: [], session_id: null, flagged_at: '2026-01-01T00:00:00.000Z' }
  await store.connectors.flag(flag)
  const second = { ...flag, digest: 'y', differences: [{ kind: 'added' as const, tool: 't' }], session_id: 'ses_1' }
  await store.connectors.flag(second)
  expect(await store.connectors.flags()).toEqual([second])
  await store.connectors.unflag('a')
  expect(await store.connectors.flags()).toEqual([])
})

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LocalArtifactStore } from '../../artifacts/local/local-artifact-store.ts'
import { newId } from '../../domain/ids.ts'
import type { Session } from '../../domain/session.ts'
import { SqlInvocationStore } from '../../store/invocation-store/sql/sql-invocation-store.ts'
import { openSqliteStore } from '../../store/sql/open-sqlite-store.ts'
import { invocation, session as record } from '../../store/sql/records.fixture.ts'
import type { SqlStore } from '../../store/sql/sql-store.ts'
import { EventLog } from '../event-log.ts'
import { RetentionService } from './retention-service.ts'

const NOW = new Date('2026-03-01T00:00:00.000Z')
const daysAgo = (days: number) => new Date(NOW.getTime() - days * 86_400_000).toISOString()

let folder: string
let store: SqlStore
let artifacts: LocalArtifactStore
let faults: unknown[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-retention-'))
  store = await openSqliteStore(join(folder, 'cloister.db'))
  artifacts = new LocalArtifactStore(join(folder, 'artifacts'))
  faults = []
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

function service(days: number | null, fields: Partial<ConstructorParameters<typeof RetentionService>[0]> = {}) {
  const eventLog = new EventLog(store, () => NOW)
  const logger = { error: (...entry: unknown[]) => void faults.push(entry) } as never
  return new RetentionService({ store, eventLog, artifacts, days, logger, ...fields })
}

/** A session with an invocation that left an artifact and two lines. */
async function left(fields: Partial<Session>) {
  const session = record(fields)
  await store.sessions.insert(session)
  const finished = invocation(session.id)
  await new SqlInvocationStore(store).put(finished)
  await store.logs.append(finished.id, [
    { at: daysAgo(0), channel: 'stdout', message: 'one' },
    { at: daysAgo(0), channel: 'stdout', message: 'two' },
  ])
  const id = newId('art')
  const kept = await artifacts.put(session.id, id, Buffer.from('bytes'))
  const row = { id, name: 'a', content_type: 'text/plain', created_at: daysAgo(0), ...kept }
  await store.artifacts.insert({ ...row, invocation_id: finished.id, session_id: session.id })
  const remains = async () => ({
    bytes: (await artifacts.read(session.id, id)) !== null,
    artifacts: (await store.artifacts.ofInvocation(finished.id)).length,
    lines: (await store.logs.list(finished.id)).length,
    record: (await new SqlInvocationStore(store).get(finished.id)) !== null,
  })
  return { id: session.id, remains }
}

const WHOLE = { bytes: true, artifacts: 1, lines: 2, record: true }
const FORGOTTEN = { bytes: false, artifacts: 0, lines: 0, record: true }

describe('what sessions left behind', () => {
  it('is forgotten when they ended long enough ago, and nobody else loses anything', async () => {
    const gone = [
      await left({ state: 'closed', closed_at: daysAgo(40), last_activity_at: daysAgo(31) }),
      await left({ state: 'deleted', last_activity_at: daysAgo(30) }),
    ]
    const kept = [
      await left({ state: 'closed', closed_at: daysAgo(29), last_activity_at: daysAgo(29) }),
      await left({ state: 'deleted', last_activity_at: daysAgo(1) }),
      await left({ state: 'idle', last_activity_at: daysAgo(400) }),
      await left({ state: 'error', last_activity_at: daysAgo(400) }),
    ]
    expect(await service(30).sweep(NOW)).toBe(false)
    for (const { remains } of gone) expect(await remains()).toEqual(FORGOTTEN)
    for (const { remains } of kept) expect(await remains()).toEqual(WHOLE)
    for (const { id } of gone)
      expect(await store.events.list(id, 0, 10)).toMatchObject([
        { type: 'session.purged', data: { artifacts: 1, log_lines: 2, retention_days: 30 } },
      ])
    // Once: the next sweep finds nothing to tell of.
    await service(30).sweep(NOW)
    for (const { id } of gone) expect(await store.events.lastSeq(id)).toBe(1)
  })

  it('is kept for ever by default', async () => {
    const { remains } = await left({ state: 'deleted', last_activity_at: daysAgo(4000) })
    await service(null).sweep(NOW)
    expect(await remains()).toEqual(WHOLE)
  })

  it('is forgotten at once with 0 days', async () => {
    const { remains } = await left({ state: 'closed', last_activity_at: daysAgo(0) })
    await service(0).sweep(NOW)
    expect(await remains()).toEqual(FORGOTTEN)
  })

  it('is kept when the session is restored at the last moment', async () => {
    const { id, remains } = await left({ state: 'closed', last_activity_at: daysAgo(40) })
    const restoring = new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target)
        if (name !== 'sessions') return typeof member === 'function' ? member.bind(target) : member
        const withRemains = async (...args: Parameters<typeof store.sessions.withRemains>) => {
          const found = await target.sessions.withRemains(...args)
          await target.sessions.update(id, { state: 'idle' })
          return found
        }
        return { ...target.sessions, withRemains }
      },
    })
    await service(30, { store: restoring }).sweep(NOW)
    expect(await remains()).toEqual(WHOLE)
  })

  it('is not forgotten by halves: what fails is tried again, and the others go', async () => {
    const [broken, other] = [
      await left({ state: 'closed', last_activity_at: daysAgo(50) }),
      await left({ state: 'closed', last_activity_at: daysAgo(40) }),
    ]
    const failing = new Proxy(artifacts, {
      get: (target, name) => (sessionId: string) => {
        if (name !== 'deleteSession') throw new Error('only deleted')
        if (sessionId === broken.id) throw new Error('the disk is gone')
        return target.deleteSession(sessionId)
      },
    })
    await service(30, { artifacts: failing }).sweep(NOW)
    expect(faults).toHaveLength(1)
    expect(await broken.remains()).toEqual(WHOLE)
    expect(await other.remains()).toEqual(FORGOTTEN)
    await service(30).sweep(NOW)
    expect(await broken.remains()).toEqual(FORGOTTEN)
  })

  it('goes with the counts of calls that nobody looks at any more, also where all else is kept for ever', async () => {
    const { id } = await left({ state: 'idle', last_activity_at: daysAgo(0) })
    const call = { tool_name: 'fs.read', outcome: 'succeeded', duration_bucket: 0 } as const
    for (const day of ['2026-01-30', '2026-01-31', '2026-03-01']) await store.toolOutcomes.count(id, { ...call, day })
    await service(null).sweep(NOW)
    expect(await store.toolOutcomes.ofTenant('default', '2000-01-01')).toEqual([{ ...call, count: 2 }])
  })

  it('goes in portions', async () => {
    for (let i = 0; i < 51; i++) await left({ state: 'deleted', last_activity_at: daysAgo(40) })
    expect(await service(30).sweep(NOW)).toBe(true)
    expect(await service(30).sweep(NOW)).toBe(false)
    expect(await store.sessions.withRemains(NOW.toISOString(), 10)).toEqual([])
  })
})

import { chmodSync, chownSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MIGRATIONS, migrate } from './migrate.ts'
import { NodeSqliteDialect } from './node-sqlite-dialect.ts'
import { translateSqliteError } from './node-sqlite-error.ts'
import { openSqliteStore } from './open-sqlite-store.ts'
import { scratch, session } from './records.fixture.ts'

function open(file: string) {
  return openSqliteStore(file).then((store) => {
    onTestFinished(() => store.close())
    return store
  })
}

test('the file, its log and its folder are private, also where they were not', async () => {
  const folder = join(scratch(onTestFinished), 'new')
  const file = join(folder, 'store.db')
  const store = await open(file)
  await store.sessions.insert(session())
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  for (const name of readdirSync(folder)) expect([name, statSync(join(folder, name)).mode & 0o777]).toEqual([name, 0o600])
  expect(readdirSync(folder)).toContain('store.db-wal')
  await store.close()
  chmodSync(file, 0o644)
  await open(file)
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test('what is acknowledged is on the disk: WAL, synchronous full, foreign keys', async () => {
  const file = join(scratch(onTestFinished), 'store.db')
  const store = await open(file)
  const settings = await store
    .executor()
    .selectNoFrom((eb) => [
      eb.selectFrom(eb.fn<{ synchronous: number }>('pragma_synchronous', []).as('p')).select('p.synchronous').as('synchronous'),
      eb
        .selectFrom(eb.fn<{ foreign_keys: number }>('pragma_foreign_keys', []).as('p'))
        .select('p.foreign_keys')
        .as('foreign_keys'),
      eb
        .selectFrom(eb.fn<{ journal_mode: string }>('pragma_journal_mode', []).as('p'))
        .select('p.journal_mode')
        .as('journal_mode'),
    ])
    .execute()
  expect(settings).toEqual([{ synchronous: 2, foreign_keys: 1, journal_mode: 'wal' }])
})

test('no table is named after what does not exist here', async () => {
  const store = await open(join(scratch(onTestFinished), 'store.db'))
  const names = (await store.executor().introspection.getTables()).map((table) => table.name)
  expect(names).toEqual(
    expect.arrayContaining(['users', 'api_tokens', 'role_bindings', 'sessions', 'messages', 'events', 'invocations']),
  )
  for (const name of names) expect(name).not.toMatch(/space|agent|build|secret/)
})

test('role_bindings has the key (principal, role_name)', async () => {
  const file = join(scratch(onTestFinished), 'store.db')
  await (await openSqliteStore(file)).close()
  const raw = new DatabaseSync(file, { readOnly: true })
  const columns = raw.prepare('select name, pk from pragma_table_info(?) where pk > 0 order by pk').all('role_bindings')
  raw.close()
  expect(columns.map((column) => column['name'])).toEqual(['principal', 'role_name'])
})

describe('refuses', () => {
  test('a database of a newer version, and leaves it as it is', async () => {
    const file = join(scratch(onTestFinished), 'store.db')
    await (await openSqliteStore(file)).close()
    const raw = new DatabaseSync(file)
    raw.exec(`insert into schema_migrations values ('0999-later', '2030-01-01')`)
    const before = raw.prepare('select * from schema_migrations order by name').all()
    await expect(openSqliteStore(file)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringMatching(/newer Cloister.*0999-later/),
    })
    expect(raw.prepare('select * from schema_migrations order by name').all()).toEqual(before)
    raw.close()
  })

  test('a file that is no database', async () => {
    const file = join(scratch(onTestFinished), 'store.db')
    writeFileSync(file, 'not a database, but long enough to be looked at as one. '.repeat(100))
    await expect(openSqliteStore(file)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('not a database'),
    })
  })

  test('a link', async () => {
    const folder = scratch(onTestFinished)
    writeFileSync(join(folder, 'target'), '')
    symlinkSync(join(folder, 'target'), join(folder, 'store.db'))
    await expect(openSqliteStore(join(folder, 'store.db'))).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  test.runIf(process.getuid?.() === 0)('a file of another user (as root)', async () => {
    const file = join(scratch(onTestFinished), 'store.db')
    writeFileSync(file, '')
    chownSync(file, 12_345, 12_345)
    await expect(openSqliteStore(file)).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('another user'),
    })
  })

  test('a path that cannot be', async () => {
    const folder = scratch(onTestFinished)
    writeFileSync(join(folder, 'file'), '')
    await expect(openSqliteStore(join(folder, 'file', 'store.db'))).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})

test('a migration that fails leaves nothing behind', async () => {
  const database = new DatabaseSync(':memory:')
  const db = new Kysely<unknown>({ dialect: new NodeSqliteDialect(database) })
  const broken = {
    async up(tx: Kysely<unknown>) {
      await tx.schema.createTable('half').addColumn('id', 'text').execute()
      throw new Error('no further')
    },
  }
  await expect(migrate(db, { ...MIGRATIONS, '0002-broken': broken })).rejects.toMatchObject({
    code: 'store_unavailable',
    message: expect.stringContaining('no further'),
  })
  const tables = (await db.introspection.getTables()).map((table) => table.name)
  expect(tables).not.toContain('half')
  expect(tables).not.toContain('sessions')
  await migrate(db)
  await migrate(db)
  expect((await db.introspection.getTables()).map((table) => table.name)).toContain('sessions')
})

test('a database that another process holds is unavailable, and usable again later', async () => {
  const file = join(scratch(onTestFinished), 'store.db')
  const store = await openSqliteStore(file, { busyTimeoutMs: 50 })
  onTestFinished(() => store.close())
  const raw = new DatabaseSync(file)
  raw.exec('begin immediate')
  await expect(store.sessions.insert(session())).rejects.toMatchObject({ code: 'store_unavailable' })
  raw.exec('rollback')
  raw.close()
  await store.sessions.insert(session())
})

test('a full disk is store_unavailable, nothing half written, usable again later', async () => {
  const file = join(scratch(onTestFinished), 'store.db')
  await (await openSqliteStore(file)).close()
  const database = new DatabaseSync(file)
  onTestFinished(() => database.close())
  const db = new Kysely<{ filler: { text: string } }>({ dialect: new NodeSqliteDialect(database) })
  await db.schema.createTable('filler').addColumn('text', 'text').execute()
  const pages = (database.prepare('pragma page_count').get() as { page_count: number }).page_count
  database.exec(`pragma max_page_count = ${pages + 4}`)
  const attempt = db.transaction().execute(async (tx) => {
    for (let i = 0; i < 100; i++)
      await tx
        .insertInto('filler')
        .values({ text: 'x'.repeat(4000) })
        .execute()
  })
  await expect(attempt).rejects.toMatchObject({ code: 'store_unavailable', message: expect.stringContaining('disk is full') })
  expect(await db.selectFrom('filler').selectAll().execute()).toEqual([])
  await db.insertInto('filler').values({ text: 'small' }).execute()
})

test.each([
  [5, 'store_unavailable'],
  [266, 'store_unavailable'], // an I/O error's extended code
  [11, 'store_unavailable'],
  [13, 'store_unavailable'],
])('SQLite result code %d is %s', (errcode, code) => {
  expect(translateSqliteError(Object.assign(new Error('x'), { code: 'ERR_SQLITE_ERROR', errcode }))).toMatchObject({ code })
})

test.each([
  [1555, 'unique'],
  [2067, 'unique'],
  [787, 'foreign_key'],
  [1299, 'other'],
])('SQLite result code %d is a constraint: %s', (errcode, constraint) => {
  expect(translateSqliteError(Object.assign(new Error('x'), { code: 'ERR_SQLITE_ERROR', errcode }))).toMatchObject({ constraint })
})

test('a defect of ours stays one', () => {
  const error = Object.assign(new Error('syntax'), { code: 'ERR_SQLITE_ERROR', errcode: 1 })
  expect(translateSqliteError(error)).toBe(error)
})

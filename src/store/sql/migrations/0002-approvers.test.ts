import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { expect, test } from 'vitest'
import { approvals } from '../approvals.ts'
import type { Database } from '../database.ts'
import { MIGRATIONS, migrate } from '../migrate.ts'
import { NodeSqliteDialect } from '../node-sqlite-dialect.ts'

test('an approval from before may be given by whom it could be given by then', async () => {
  const database = new DatabaseSync(':memory:', { enableForeignKeyConstraints: false })
  const db = new Kysely<Database>({ dialect: new NodeSqliteDialect(database) })
  const { '0001-initial': initial } = MIGRATIONS
  if (!initial) throw new Error('there is no first migration')
  await migrate(db as Kysely<unknown>, { '0001-initial': initial })
  database.exec(
    `insert into approvals (id, session_id, invocation_id, tool_name, args, args_digest, policy_version, requested_by, status, created_at, expires_at)
     values ('apr_1', 'ses_1', 'inv_1', 'fs.write', '{}', 'x', '1', 'default/alice', 'pending', '2026-01-01', '2026-01-02')`,
  )
  await migrate(db as Kysely<unknown>)
  expect((await approvals(db).get('apr_1'))?.approvers).toEqual([['owner', 'admin']])
})

import { type Kysely, type Selectable, sql } from 'kysely'
import type { Approval } from '../../domain/approval.ts'
import { errors } from '../../domain/errors.ts'
import { decodeCursor } from '../cursor.ts'
import { toPage } from '../page.ts'
import { checkPageLimit } from '../page-limit.ts'
import type { Store } from '../store.ts'
import type { ApprovalsTable, Database } from './database.ts'
import { arrayFromJson, objectFromJson, toJson } from './json-column.ts'

export function approvals(db: Kysely<Database>): Store['approvals'] {
  return {
    async insert(approval) {
      const inserted = await db
        .insertInto('approvals')
        .values({ ...approval, args: toJson(approval.args), approvers: toJson(approval.approvers) })
        .onConflict((oc) => oc.column('id').doNothing())
        .executeTakeFirst()
      if (inserted.numInsertedOrUpdatedRows === 0n) throw errors.conflict(`the approval id ${approval.id} is taken`)
    },

    async get(id) {
      const row = await db.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst()
      return row ? toApproval(row) : null
    },

    async ofInvocation(invocationId) {
      const row = await db
        .selectFrom('approvals')
        .selectAll()
        .where('invocation_id', '=', invocationId)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row ? toApproval(row) : null
    },

    async decide(id, from, fields) {
      const updated = await db
        .updateTable('approvals')
        .set(fields)
        .where('id', '=', id)
        .where('status', '=', from)
        .executeTakeFirst()
      return updated.numUpdatedRows > 0n
    },

    async list(filter, page) {
      checkPageLimit(page.limit)
      let query = db.selectFrom('approvals').innerJoin('sessions', 'sessions.id', 'approvals.session_id').selectAll('approvals')
      if (filter.status !== undefined) query = query.where('approvals.status', '=', filter.status)
      if (filter.session_id !== undefined) query = query.where('approvals.session_id', '=', filter.session_id)
      const { owner, named = [] } = filter
      if (owner)
        query = query.where((eb) =>
          eb.or([
            eb.and([eb('sessions.owner_tenant_id', '=', owner.tenant_id), eb('sessions.owner_actor_id', '=', owner.actor_id)]),
            ...named.map((entry) => sql<boolean>`approvals.approvers like ${containing(JSON.stringify(entry))} escape '~'`),
          ]),
        )
      if (page.cursor !== null) {
        const [at, id] = decodeCursor(page.cursor, ['string', 'string']) as [string, string]
        query = query.where((eb) =>
          eb.or([
            eb('approvals.created_at', '<', at),
            eb.and([eb('approvals.created_at', '=', at), eb('approvals.id', '<', id)]),
          ]),
        )
      }
      const rows = await query
        .orderBy('approvals.created_at', 'desc')
        .orderBy('approvals.id', 'desc')
        .limit(page.limit + 1)
        .execute()
      return toPage(rows, page.limit, (row) => [row.created_at, row.id], toApproval)
    },

    async pending() {
      const rows = await db
        .selectFrom('approvals')
        .selectAll()
        .where('status', '=', 'pending')
        .orderBy('expires_at')
        .orderBy('id')
        .execute()
      return rows.map(toApproval)
    },
  }
}

function toApproval(row: Selectable<ApprovalsTable>): Approval {
  return {
    ...row,
    args: objectFromJson(row.args, `approvals.args of ${row.id}`),
    approvers: arrayFromJson<string[]>(row.approvers, `approvals.approvers of ${row.id}`),
  }
}

/** A LIKE pattern, with `~` as its escape. */
function containing(text: string): string {
  return `%${text.replace(/[~%_]/g, '~$&')}%`
}

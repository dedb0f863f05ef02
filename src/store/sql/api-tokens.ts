import type { Kysely, Selectable } from 'kysely'
import { errors } from '../../domain/errors.ts'
import { pageOfList } from '../page-of-list.ts'
import type { ApiToken, Store } from '../store.ts'
import type { ApiTokensTable, Database } from './database.ts'

export function apiTokens(db: Kysely<Database>): Store['apiTokens'] {
  const repository: Store['apiTokens'] = {
    async insert({ owner, id, name, prefix, hash, session_id, created_at, expires_at, last_used_at }) {
      const inserted = await db
        .insertInto('api_tokens')
        .values({
          id,
          name,
          prefix,
          hash,
          tenant_id: owner.tenant_id,
          actor_id: owner.actor_id,
          session_id,
          created_at,
          expires_at,
          last_used_at,
        })
        .onConflict((oc) => oc.doNothing())
        .executeTakeFirst()
      if (inserted.numInsertedOrUpdatedRows === 0n) throw errors.conflict(`the token id ${id} or its value is taken`)
    },

    async byHash(hash) {
      const row = await db.selectFrom('api_tokens').selectAll().where('hash', '=', hash).executeTakeFirst()
      return row ? { ...toApiToken(row), session_id: row.session_id } : null
    },

    /** Newest first. Agent credentials are not among them: they go with their session. */
    async listOf(owner) {
      const rows = await db
        .selectFrom('api_tokens')
        .selectAll()
        .where('tenant_id', '=', owner.tenant_id)
        .where('actor_id', '=', owner.actor_id)
        .where('session_id', 'is', null)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .execute()
      return rows.map(toApiToken)
    },

    pageOf: async (owner, page) =>
      pageOfList(await repository.listOf(owner), ({ created_at, id }) => [created_at, id], page, 'descending'),

    async touch(id, at) {
      await db.updateTable('api_tokens').set({ last_used_at: at }).where('id', '=', id).execute()
    },

    async delete(id, owner) {
      const deleted = await db
        .deleteFrom('api_tokens')
        .where('id', '=', id)
        .where('tenant_id', '=', owner.tenant_id)
        .where('actor_id', '=', owner.actor_id)
        .executeTakeFirst()
      return deleted.numDeletedRows > 0n
    },

    async deleteOfSession(sessionId) {
      await db.deleteFrom('api_tokens').where('session_id', '=', sessionId).execute()
    },

    async deleteExpired(sessionId, now) {
      await db.deleteFrom('api_tokens').where('session_id', '=', sessionId).where('expires_at', '<', now).execute()
    },

    async deleteOfOwner(owner) {
      await db.deleteFrom('api_tokens').where('tenant_id', '=', owner.tenant_id).where('actor_id', '=', owner.actor_id).execute()
    },
  }
  return repository
}

function toApiToken(row: Selectable<ApiTokensTable>): ApiToken {
  return {
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    owner: { tenant_id: row.tenant_id, actor_id: row.actor_id },
    created_at: row.created_at,
    expires_at: row.expires_at,
    last_used_at: row.last_used_at,
  }
}

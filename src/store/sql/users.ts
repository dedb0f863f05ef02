import type { Kysely, Selectable } from 'kysely'
import { errors } from '../../domain/errors.ts'
import { principalKey } from '../../domain/principal.ts'
import { pageOfList } from '../page-of-list.ts'
import type { Store, User } from '../store.ts'
import type { Database, UsersTable } from './database.ts'
import { arrayFromJson, toJson } from './json-column.ts'

export function users(db: Kysely<Database>): Store['users'] {
  const repository: Store['users'] = {
    async insert(user) {
      const { tenant_id, name, password_hash, tool_roles, active, created_at } = user
      const inserted = await db
        .insertInto('users')
        .values({
          tenant_id,
          name,
          password_hash,
          tool_roles: toJson(tool_roles),
          active: Number(active),
          created_at,
          last_login_at: null,
          tokens_valid_after: null,
        })
        .onConflict((oc) => oc.columns(['tenant_id', 'name']).doNothing())
        .executeTakeFirst()
      if (inserted.numInsertedOrUpdatedRows === 0n) throw errors.conflict(`the user name ${name} is taken`, { name })
    },

    async get(tenantId, name) {
      const row = await db
        .selectFrom('users')
        .selectAll()
        .where('tenant_id', '=', tenantId)
        .where('name', '=', name)
        .executeTakeFirst()
      if (!row) return null
      const bindings = await db
        .selectFrom('role_bindings')
        .select('role_name')
        .where('principal', '=', principalKey({ tenant_id: tenantId, actor_id: name }))
        .orderBy('role_name')
        .execute()
      const roles = bindings.map((binding) => binding.role_name)
      return { ...toUser(row, roles), password_hash: row.password_hash }
    },

    async list() {
      const rows = await db.selectFrom('users').selectAll().orderBy('tenant_id').orderBy('name').execute()
      const bindings = await db.selectFrom('role_bindings').selectAll().orderBy('role_name').execute()
      const roles = Map.groupBy(bindings, (binding) => binding.principal)
      return rows.map((row) => {
        const key = principalKey({ tenant_id: row.tenant_id, actor_id: row.name })
        return toUser(row, roles.get(key)?.map((binding) => binding.role_name) ?? [])
      })
    },

    page: async (page) => pageOfList(await repository.list(), ({ tenant_id, name }) => [tenant_id, name], page),

    async update(tenantId, name, fields) {
      const { tool_roles, active, ...same } = fields
      const columns = {
        ...same,
        ...(tool_roles && { tool_roles: toJson(tool_roles) }),
        ...(active !== undefined && { active: Number(active) }),
      }
      if (Object.keys(columns).length === 0)
        return (
          (await db.selectFrom('users').select('name').where('tenant_id', '=', tenantId).where('name', '=', name).execute())
            .length > 0
        )
      const updated = await db
        .updateTable('users')
        .set(columns)
        .where('tenant_id', '=', tenantId)
        .where('name', '=', name)
        .executeTakeFirst()
      return updated.numUpdatedRows > 0n
    },

    async tokensValidAfter(tenantId, name) {
      const row = await db
        .selectFrom('users')
        .select('tokens_valid_after')
        .where('tenant_id', '=', tenantId)
        .where('name', '=', name)
        .executeTakeFirst()
      return row?.tokens_valid_after ?? null
    },

    async delete(tenantId, name) {
      const deleted = await db.deleteFrom('users').where('tenant_id', '=', tenantId).where('name', '=', name).executeTakeFirst()
      return deleted.numDeletedRows > 0n
    },

    async count() {
      const row = await db
        .selectFrom('users')
        .select((eb) => eb.fn.countAll().as('count'))
        .executeTakeFirstOrThrow()
      return Number(row.count)
    },
  }
  return repository
}

function toUser(row: Selectable<UsersTable>, roles: string[]): User {
  return {
    name: row.name,
    tenant_id: row.tenant_id,
    roles,
    tool_roles: arrayFromJson(row.tool_roles, `users.tool_roles of ${row.tenant_id}/${row.name}`),
    active: row.active !== 0,
    created_at: row.created_at,
    last_login_at: row.last_login_at,
  }
}

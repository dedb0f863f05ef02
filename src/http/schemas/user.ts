import { z } from 'zod'
import { TOOL_ROLES } from '../../domain/principal.ts'
import { principalName, time } from './common.ts'

export const userSchema = z
  .object({
    name: z.string(),
    tenant_id: z.string(),
    roles: z.array(z.string()),
    tool_roles: z.array(z.string()),
    active: z.boolean(),
    created_at: time(),
    last_login_at: time().nullable(),
  })
  .meta({ id: 'User' })

export const apiTokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string().describe('First characters of the value, to tell tokens apart.'),
    created_at: time(),
    expires_at: time().nullable(),
    last_used_at: time().nullable(),
  })
  .meta({ id: 'ApiToken' })

export const roleBindingSchema = z
  .object({ principal: z.string().describe('`tenant_id/actor_id`.'), role_name: z.string(), created_at: time() })
  .meta({ id: 'RoleBinding' })

export const roleName = () => z.enum(['admin', 'user'])
export const toolRoles = () => z.array(z.enum(TOOL_ROLES)).max(TOOL_ROLES.length)
export const password = () => z.string().min(8).max(1024)

export const userParams = z.strictObject({ name: principalName() })
export const userQuery = z.strictObject({ tenant: principalName().optional().describe('Default: the tenant of the caller.') })

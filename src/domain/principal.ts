/** Who acts. `roles` are tool roles (`developer`, `devops`, `platform_admin`). */
export interface Principal {
  tenant_id: string
  actor_id: string
  roles: string[]
}

export const TOOL_ROLES = ['developer', 'devops', 'platform_admin'] as const

/** Who did something, as it stands in events and records. `system`: Cloister itself (setup, clone, operator). */
export interface Actor {
  kind: 'user' | 'agent' | 'mcp' | 'system'
  id: string
}

export const SYSTEM: Actor = { kind: 'system', id: 'cloister' }

export const PERMISSIONS = [
  'session:create',
  'session:list',
  'session:get',
  'session:update',
  'session:delete',
  'session:close',
  'session:restore',
  'session:message',
  'session:approve',
] as const

export type Permission = (typeof PERMISSIONS)[number]

/**
 * An authenticated caller of the API.
 * `user`: a person or their API token. `agent`: the agent loop or a token minted for one session's MCP clients; bound to
 * `session_id`, may invoke tools there and nothing else, never approve. `system`: Cloister itself.
 */
export type Caller =
  | { kind: 'user'; tenant_id: string; actor_id: string; admin: boolean; tool_roles: string[] }
  | { kind: 'agent' | 'mcp'; tenant_id: string; actor_id: string; session_id: string }
  | { kind: 'system' }

/** `tenant_id/actor_id`: the key of role bindings and of ownership. */
export function principalKey(principal: { tenant_id: string; actor_id: string }): string {
  return `${principal.tenant_id}/${principal.actor_id}`
}

export function actorOf(caller: Caller): Actor {
  if (caller.kind === 'system') return SYSTEM
  return { kind: caller.kind, id: principalKey(caller) }
}

/** May this caller do this to a session of this owner? Ownership is asked first: what is not yours does not exist for you. */
export function owns(caller: Caller, session: { id: string; owner: { tenant_id: string; actor_id: string } }): boolean {
  switch (caller.kind) {
    case 'system':
      return true
    case 'user':
      return caller.admin || (caller.tenant_id === session.owner.tenant_id && caller.actor_id === session.owner.actor_id)
    default:
      return caller.session_id === session.id
  }
}

/** Permissions of a caller on sessions that are its own. An agent credential holds none: what it may do is invoke tools. */
export function permissionsOf(caller: Caller): readonly Permission[] {
  return caller.kind === 'user' || caller.kind === 'system' ? PERMISSIONS : []
}

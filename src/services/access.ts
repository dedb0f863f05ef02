import { errors } from '../domain/errors.ts'
import { SESSION_ID } from '../domain/ids.ts'
import { type Caller, owns, type Permission, permissionsOf } from '../domain/principal.ts'
import type { Session } from '../domain/session.ts'
import type { Store } from '../store/store.ts'

/**
 * The session, if it exists for this caller. One answer for what is unknown, somebody else's, or deleted (`deleted`: those too), so
 * that nothing can be probed; it comes before any question of permission.
 * @throws not_found
 */
export async function accessibleSession(
  store: Pick<Store, 'sessions'>,
  caller: Caller,
  id: string,
  options: { deleted?: boolean } = {},
): Promise<Session> {
  const session = SESSION_ID.test(id) ? await store.sessions.get(id) : null
  if (!session || !owns(caller, session) || (session.state === 'deleted' && !options.deleted)) throw errors.notFound('session')
  return session
}

/** @throws permission_denied */
export function requirePermission(caller: Caller, permission: Permission): void {
  if (!permissionsOf(caller).includes(permission)) throw errors.permissionDenied(permission)
}

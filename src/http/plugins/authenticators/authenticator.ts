import type { FastifyRequest } from 'fastify'
import type { Caller } from '../../../domain/principal.ts'

/** How callers prove who they are: one implementation for each mode of `CLOISTER_AUTH`. */
export interface Authenticator {
  /** Said once at start, where the mode has something that must be known. */
  notice?: string
  /** Refuses requests that must not be served at all, public or not. */
  admit?(request: FastifyRequest): void
  /** Throws `unauthorized`; in payload mode also `not_found`. */
  authenticate(request: FastifyRequest): Promise<Caller>
  /** Who creates a session whose body names this principal. */
  creator(caller: Caller, principal: { tenant_id: string; actor_id: string } | undefined): Caller
}

/** The token of `Authorization: Bearer ...`; null when there is no such header or it is of another kind. */
export function bearerOf(request: FastifyRequest): string | null {
  const match = /^Bearer +([^\s]{1,8192})$/i.exec(request.headers.authorization ?? '')
  return match?.[1] ?? null
}

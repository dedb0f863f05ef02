import type { Caller } from '../../domain/principal.ts'
import type { Approvals, Auth, Invocations, Sessions } from '../../services/contracts.ts'
import type { App } from '../app-type.ts'
import type { HttpConfig } from '../dependencies.ts'
import type { Authenticator } from './authenticators/authenticator.ts'
import { payloadAuthenticator } from './authenticators/payload.ts'
import { tokenAuthenticator } from './authenticators/token.ts'
import { trustedHeadersAuthenticator } from './authenticators/trusted-headers.ts'
import type { RouteTable } from './route-table.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks. Throws on a public route, which knows nobody. */
    readonly caller: Caller
  }
  interface FastifyContextConfig {
    /** Served without a credential. Absent: a credential is needed. */
    public?: true
  }
}

const callers = new WeakMap<object, Caller>()

/** The authenticator of the configured mode. */
export function createAuthenticator(
  config: HttpConfig,
  services: { auth: Auth; sessions: Sessions; invocations: Invocations; approvals: Approvals },
): Authenticator {
  switch (config.CLOISTER_AUTH) {
    case 'token':
      return tokenAuthenticator(services.auth)
    case 'trusted_headers':
      return trustedHeadersAuthenticator(config, services.auth)
    case 'payload':
      return payloadAuthenticator(config, services)
  }
}

/**
 * Deny by default: whatever is not declared `config: { public: true }`, also a path that does not exist, needs a credential before
 * anything else is looked at.
 */
export function authentication(app: App, authenticator: Authenticator, routes: RouteTable): void {
  app.decorateRequest('caller', {
    getter() {
      const caller = callers.get(this)
      if (!caller) throw new Error(`${this.method} ${this.routeOptions.url} has no caller`)
      return caller
    },
  })
  app.addHook('onRequest', async (request) => {
    authenticator.admit?.(request)
    const isPublic = request.is404
      ? routes.at(request.url).some((route) => route.public)
      : request.routeOptions.config.public === true
    if (!isPublic) callers.set(request, await authenticator.authenticate(request))
  })
  app.addHook('onReady', async () => {
    if (authenticator.notice) app.log.warn(authenticator.notice)
  })
}

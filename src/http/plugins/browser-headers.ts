import helmet from '@fastify/helmet'
import type { App } from '../app-type.ts'

/**
 * What a browser is told: to run, frame and sniff nothing of what is answered. Not told is what only the operator can know: whether
 * this host and its neighbours have TLS (HSTS, upgrade-insecure-requests).
 */
export function browserHeaders(app: App): void {
  app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"] },
    },
    strictTransportSecurity: false,
    xFrameOptions: { action: 'deny' },
  })
}

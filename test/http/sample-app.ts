import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { buildApp } from '../../src/http/app.ts'
import type { App } from '../../src/http/app-type.ts'
import type { AppDependencies, HttpConfig } from '../../src/http/dependencies.ts'
import { createLogger } from '../../src/http/logger.ts'
import { McpEndpoint } from '../../src/mcp/mcp-endpoint.ts'
import { AuthService } from '../../src/services/auth/auth-service.ts'
import { EventLog } from '../../src/services/event-log.ts'
import { openSqliteStore } from '../../src/store/sql/open-sqlite-store.ts'
import type { Store } from '../../src/store/store.ts'
import { sampleServices } from './sample-services.ts'

export const PASSWORD = 'correct horse battery staple'

export interface SampleApp {
  app: App
  store: Store
  eventLog: EventLog
  services: ReturnType<typeof sampleServices>
  deps: AppDependencies
  /** Lines that the server logged. */
  log: string[]
  /** `Bearer ...` of the users admin, alice and bob. */
  admin: string
  alice: string
  bob: string
  close: () => Promise<void>
}

/** The HTTP layer over a real store, event log and authentication. */
export async function sampleApp(
  options: { config?: Partial<HttpConfig>; deps?: Partial<AppDependencies> } = {},
): Promise<SampleApp> {
  const directory = mkdtempSync(join(tmpdir(), 'cloister-http-'))
  const store = await openSqliteStore(join(directory, 'cloister.db'))
  const eventLog = new EventLog(store)
  const config: HttpConfig = { CLOISTER_AUTH: 'token', CLOISTER_MAX_TOOL_ROLES: ['developer', 'devops'], ...options.config }
  const external = config.CLOISTER_AUTH !== 'token'
  const auth = new AuthService({ store, jwtSecret: Buffer.alloc(32, 7), tokenTtlSeconds: 3600, externalPrincipals: external })
  await auth.ensureAdmin({ password: PASSWORD })
  const services = sampleServices(store, eventLog)
  const log: string[] = []
  const deps: AppDependencies = {
    ...services,
    auth,
    eventLog,
    mcp: new McpEndpoint({
      invocations: services.invocations,
      artifacts: { read: async () => null },
      eventLog,
      logger: createLogger('error'),
      version: '1.2.3',
    }),
    config,
    readiness: { store: () => store.ping() },
    countSessions: () => store.sessions.countByState(),
    countConnectors: () => ({ unreviewed: 0, reviewed: 1, changed: 0 }),
    metrics: new Registry(),
    logger: createLogger('debug', { write: (line: string) => void log.push(line) }),
    version: '1.2.3',
    streams: { heartbeat_ms: 50, stall_ms: 60_000 },
    ...options.deps,
  }
  const root = await auth.authenticate((await auth.login('admin', PASSWORD)).token)
  for (const name of ['alice', 'bob']) await auth.createUser(root, { name, password: PASSWORD })
  const bearer = async (name: string) => `Bearer ${(await auth.login(name, PASSWORD)).token}`
  const [admin, alice, bob] = [await bearer('admin'), await bearer('alice'), await bearer('bob')]
  const app = buildApp(deps)
  await app.ready()
  return {
    app,
    store,
    eventLog,
    services,
    deps,
    log,
    admin,
    alice,
    bob,
    async close() {
      await app.close()
      await store.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import { buildApp } from '../src/http/app.ts'
import type { AppDependencies } from '../src/http/dependencies.ts'
import { createLogger } from '../src/http/logger.ts'
import { EventLog } from '../src/services/event-log.ts'

/** Where the committed copy is. */
export const OPENAPI_FILE = fileURLToPath(new URL('../docs/openapi.json', import.meta.url))

/** The OpenAPI document as it is committed, generated from the routes. Serves nothing and opens nothing. */
export async function generateOpenapi(): Promise<string> {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
  const app = buildApp({
    sessions: unused('sessions'),
    invocations: unused('invocations'),
    approvals: unused('approvals'),
    turns: unused('turns'),
    files: unused('files'),
    connectors: unused('connectors'),
    auth: unused('auth'),
    eventLog: new EventLog(unused('store')),
    mcp: { handle: () => Promise.reject(new Error('no MCP is spoken here')), endAll: async () => {} },
    config: { CLOISTER_AUTH: 'token', CLOISTER_MAX_TOOL_ROLES: [] },
    readiness: {},
    countSessions: () => Promise.reject(new Error('nothing is counted here')),
    countConnectors: () => ({ unreviewed: 0, reviewed: 0, changed: 0 }),
    metrics: new Registry(),
    logger: createLogger('silent'),
    version,
  } satisfies AppDependencies)
  try {
    await app.ready()
    return `${JSON.stringify(app.swagger(), null, 2)}\n`
  } finally {
    await app.close()
  }
}

/** Routes are only described: what would call a service is a mistake. */
function unused<T extends object>(name: string): T {
  return new Proxy({} as T, {
    get(_target, key) {
      throw new Error(`${name}.${String(key)} was used while the document was generated`)
    },
  })
}

if (import.meta.main) {
  writeFileSync(OPENAPI_FILE, await generateOpenapi())
  console.log(`wrote ${OPENAPI_FILE}`)
}

import type { FastifyBaseLogger } from 'fastify'
import type { Registry } from 'prom-client'
import type { ConnectorState } from '../domain/connector.ts'
import type { Caller } from '../domain/principal.ts'
import type { SessionState } from '../domain/session.ts'
import type { Approvals, Auth, Connectors, Files, Invocations, Sessions, Turns } from '../services/contracts.ts'
import type { EventLog } from '../services/event-log.ts'

/** What of the configuration the HTTP layer reads; the whole configuration fits. */
export interface HttpConfig {
  readonly CLOISTER_AUTH: 'token' | 'trusted_headers' | 'payload'
  readonly CLOISTER_MAX_TOOL_ROLES: readonly string[]
  readonly WORKSPACE_AUTH_SHARED_TOKEN?: string | undefined
}

/** Answers one HTTP request of an MCP client, for a caller that may invoke tools in the session. */
export interface McpEndpoint {
  handle(request: Request, exchange: { caller: Caller; session_id: string; body: unknown }): Promise<Response>
  /** Ends streams; clients come back to the next server. */
  endAll(): Promise<void>
}

/** Everything that the HTTP layer works with. Built by `main.ts`. */
export interface AppDependencies {
  sessions: Sessions
  invocations: Invocations
  approvals: Approvals
  turns: Turns
  files: Files
  connectors: Connectors
  auth: Auth
  eventLog: EventLog
  /** Sessions as MCP servers. */
  mcp: McpEndpoint
  config: HttpConfig
  /** By name, what must answer before the server is ready (`store`, `sandbox`). Each rejects when it does not; the reason is logged, not shown. */
  readiness: Record<string, () => Promise<void>>
  /** For the gauge of sessions by state. */
  countSessions: () => Promise<Record<SessionState, number>>
  /** For the gauge of connectors by state. */
  countConnectors: () => Record<ConnectorState, number>
  metrics: Registry
  logger: FastifyBaseLogger
  /** The version of this server. */
  version: string
  /** Event streams: milliseconds between heartbeats, and how long a reader may take nothing before it is dropped. */
  streams?: { heartbeat_ms: number; stall_ms: number }
}

import type { Budgets } from './budget.ts'
import { type CloisterError, errors } from './errors.ts'
import type { Principal } from './principal.ts'

export const SESSION_STATES = ['initializing', 'idle', 'busy', 'closed', 'error', 'deleted'] as const
export type SessionState = (typeof SESSION_STATES)[number]

export const ISOLATION_LEVELS = ['none', 'namespaces', 'container', 'vm'] as const
export type IsolationLevel = (typeof ISOLATION_LEVELS)[number]

/** Memory in MiB, CPUs as a number (0.5 is half a core), pids as a count of threads and processes. */
export interface Limits {
  memory_mb: number
  cpus: number
  pids: number
}

/** How a limit is enforced on this machine. `rlimit` holds for each process, not for the sandbox as a whole. */
export type LimitEnforcement = 'cgroup2' | 'cgroup1' | 'rlimit' | 'absent'

/** What isolation a started sandbox actually got. Recorded, shown, and compared with the session's floor. */
export interface Isolation {
  level: IsolationLevel
  namespaces: string[]
  network: 'none' | 'host'
  seccomp: boolean
  no_new_privileges: boolean
  /** `own`: a host uid of the session's own. `shared`: the uid of the server's user. */
  uid: 'own' | 'shared'
  limits: { memory: LimitEnforcement; cpus: LimitEnforcement; pids: LimitEnforcement }
}

/**
 * Everything needed to find a sandbox again after the server died. Written as `starting` before the spawn, so that nothing
 * that runs is ever unknown. Holds no secret: the host token lies in a 0600 file in the driver's run directory.
 */
export interface SandboxRecord {
  kind: string
  /** Counts the starts of this session's sandbox, from 1. */
  generation: number
  phase: 'starting' | 'running'
  /** Driver-private facts (pids, namespace inodes, cgroup paths, socket path), opaque to everybody else. */
  detail: Record<string, string | number | null>
  isolation: Isolation | null
  started_at: string
}

/** A standing approval given at creation, by a principal that may approve. Never covers risk `high` unless an admin gave it. */
export interface AutoApproval {
  pattern: string
  by: { tenant_id: string; actor_id: string; admin: boolean }
}

/** The stored session. Times are RFC 3339 UTC. What the API shows of it is `renderSession` in http/. */
export interface Session {
  id: string
  name: string
  state: SessionState
  state_reason: string | null
  owner: { tenant_id: string; actor_id: string }
  principal: Principal
  allowed_paths: string[]
  metadata: Record<string, string>
  model: string | null
  source_repo_path: string | null
  repo_url: string | null
  repo_ref: string | null
  repo_auth_secret: string | null
  has_setup: boolean
  has_instructions: boolean
  /** False until the volume holds what creation asked for (source copied or cloned, instructions and setup written). */
  provisioned: boolean
  tools: { allow: string[]; deny: string[] }
  auto_approve: AutoApproval[]
  network: 'none' | 'host'
  isolation_floor: IsolationLevel
  limits: Limits
  sandbox: SandboxRecord | null
  /** Host uid of the sandbox's processes and of the volume; null where the server's own uid is used. */
  sandbox_uid: number | null
  /** Last generation that was used, so that the next start takes the next one. */
  last_generation: number
  /** The names of the session's secrets; values exist only as files. */
  secret_names: string[]
  parent_session_id: string | null
  /** What its agent may use. The server's own limits hold besides. */
  budgets: Budgets
  usage: SessionUsage
  idle_timeout_seconds: number
  created_at: string
  last_activity_at: string
  expires_at: string | null
  closed_at: string | null
}

/** What was used so far. Of the agent: tokens, turns, `steps` (model calls that answered), US dollars (where prices are known), seconds. */
export interface SessionUsage {
  input_tokens: number
  output_tokens: number
  turns: number
  invocations: number
  steps: number
  cost_usd: number
  seconds: number
}

export const NO_USAGE: SessionUsage = Object.freeze({
  input_tokens: 0,
  output_tokens: 0,
  turns: 0,
  invocations: 0,
  steps: 0,
  cost_usd: 0,
  seconds: 0,
})

export type SessionAction =
  | 'initialized'
  | 'initialization_failed'
  | 'reinitialize'
  | 'turn_started'
  | 'turn_ended'
  | 'close'
  | 'restore'
  | 'delete'

/** The state table. A missing entry is a refusal. */
const TRANSITIONS: Record<SessionAction, Partial<Record<SessionState, SessionState>>> = {
  initialized: { initializing: 'idle' },
  initialization_failed: { initializing: 'error' },
  reinitialize: { idle: 'initializing' },
  turn_started: { idle: 'busy' },
  turn_ended: { busy: 'idle' },
  close: { initializing: 'closed', idle: 'closed', busy: 'closed', error: 'closed' },
  restore: { closed: 'initializing', error: 'initializing' },
  delete: { initializing: 'deleted', idle: 'deleted', busy: 'deleted', closed: 'deleted', error: 'deleted' },
}

/** The state that an action leads to, or the refusal to throw. The only place that knows the table. */
export function nextState(state: SessionState, action: SessionAction): SessionState | CloisterError {
  const next = TRANSITIONS[action][state]
  if (next) return next
  if (state === 'deleted') return errors.notFound('session')
  if (state === 'closed' && action !== 'close') return errors.sessionClosed(state)
  return errors.conflict(`cannot ${action.replaceAll('_', ' ')} a session that is ${state}`, { state, action })
}

/** What a session's state says to a tool call (`invoke`) or a message. Null: go on. */
export function admits(session: Session, what: 'invoke' | 'message'): CloisterError | null {
  switch (session.state) {
    case 'idle':
    case 'busy':
      return null
    case 'initializing':
      return what === 'message'
        ? null
        : errors.conflict('the session is still initializing: wait until its state is idle', { state: 'initializing' })
    case 'closed':
      return errors.sessionClosed('closed')
    case 'error':
      return errors.conflict(
        `the session is in error: ${session.state_reason ?? 'no reason recorded'}. Restore it to try again`,
        {
          state: 'error',
        },
      )
    case 'deleted':
      return errors.notFound('session')
  }
}

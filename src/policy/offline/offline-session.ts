import { NO_BUDGET } from '../../domain/budget.ts'
import { NO_USAGE, type Session } from '../../domain/session.ts'

/** What policy looks at in a session. */
export type PolicyFacts = Pick<
  Session,
  'id' | 'owner' | 'principal' | 'allowed_paths' | 'metadata' | 'repo_url' | 'tools' | 'auto_approve' | 'network'
>

/** A session that exists only to be decided about: what policy does not look at is empty. */
export function offlineSession(facts: PolicyFacts): Session {
  const at = '1970-01-01T00:00:00.000Z'
  return {
    name: facts.id,
    state: 'idle',
    state_reason: null,
    model: null,
    source_repo_path: null,
    repo_ref: null,
    repo_auth_secret: null,
    has_setup: false,
    has_instructions: false,
    provisioned: true,
    isolation_floor: 'none',
    limits: { memory_mb: 0, cpus: 0, pids: 0 },
    sandbox: null,
    sandbox_uid: null,
    last_generation: 0,
    secret_names: [],
    parent_session_id: null,
    budgets: { turn: NO_BUDGET, session: NO_BUDGET },
    usage: NO_USAGE,
    idle_timeout_seconds: 0,
    created_at: at,
    last_activity_at: at,
    expires_at: null,
    closed_at: null,
    ...facts,
  }
}

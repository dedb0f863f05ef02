import { NO_BUDGET } from './budget.ts'
import { NO_USAGE, type Session } from './session.ts'

/** A session for tests: idle, owned by default/alice, with what is given changed. */
export function sampleSession(fields: Partial<Session> = {}): Session {
  const at = '2026-01-01T00:00:00.000Z'
  return {
    id: 'ses_sample',
    name: 'sample',
    state: 'idle',
    state_reason: null,
    owner: { tenant_id: 'default', actor_id: 'alice' },
    principal: { tenant_id: 'default', actor_id: 'alice', roles: ['developer'] },
    allowed_paths: ['.'],
    metadata: {},
    model: null,
    source_repo_path: null,
    repo_url: null,
    repo_ref: null,
    repo_auth_secret: null,
    has_setup: false,
    has_instructions: false,
    provisioned: false,
    tools: { allow: ['*'], deny: [] },
    auto_approve: [],
    network: 'none',
    isolation_floor: 'none',
    limits: { memory_mb: 512, cpus: 1, pids: 128 },
    sandbox: null,
    sandbox_uid: null,
    last_generation: 0,
    secret_names: [],
    parent_session_id: null,
    budgets: { turn: NO_BUDGET, session: NO_BUDGET },
    usage: NO_USAGE,
    idle_timeout_seconds: 3600,
    created_at: at,
    last_activity_at: at,
    expires_at: null,
    closed_at: null,
    ...fields,
  }
}

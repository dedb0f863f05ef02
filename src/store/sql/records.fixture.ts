import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Approval } from '../../domain/approval.ts'
import { NO_BUDGET } from '../../domain/budget.ts'
import { newId } from '../../domain/ids.ts'
import type { Invocation } from '../../domain/invocation.ts'
import { NO_USAGE, type Session } from '../../domain/session.ts'

/** Records for tests: complete, with every field of a kind that a mix-up of columns would show. */

export const OWNER = { tenant_id: 'default', actor_id: 'alice' }

/** A time so many seconds after a fixed one. */
export function at(seconds: number): string {
  return new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString()
}

export function session(fields: Partial<Session> = {}): Session {
  return {
    id: newId('ses'),
    name: 'a session',
    state: 'idle',
    state_reason: null,
    owner: OWNER,
    principal: { ...OWNER, roles: ['developer'] },
    allowed_paths: ['.'],
    metadata: {},
    model: null,
    source_repo_path: null,
    repo_url: null,
    repo_ref: null,
    repo_auth_secret: null,
    has_setup: false,
    has_instructions: false,
    provisioned: true,
    tools: { allow: [], deny: [] },
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
    idle_timeout_seconds: 900,
    created_at: at(0),
    last_activity_at: at(0),
    expires_at: null,
    closed_at: null,
    ...fields,
  }
}

export function invocation(sessionId: string, fields: Partial<Invocation> = {}): Invocation {
  return {
    id: newId('inv'),
    session_id: sessionId,
    turn_id: null,
    tool_name: 'fs.read',
    args: { path: 'a.txt' },
    args_digest: 'd'.repeat(64),
    actor: { kind: 'user', id: 'default/alice' },
    correlation_id: null,
    status: 'succeeded',
    approval: null,
    decision: null,
    started_at: at(0),
    completed_at: at(1),
    duration_ms: 1000,
    exit_code: null,
    trace_name: 'workspace.tools',
    span_name: 'fs.read',
    trace_id: '0'.repeat(32),
    output: { content: 'hello' },
    output_ref: null,
    logs_ref: null,
    artifacts: [],
    truncated: false,
    error: null,
    ...fields,
  }
}

export function approval(sessionId: string, fields: Partial<Approval> = {}): Approval {
  return {
    id: newId('apr'),
    session_id: sessionId,
    invocation_id: newId('inv'),
    tool_name: 'fs.write',
    args: { path: 'a.txt', content: 'x' },
    args_digest: 'e'.repeat(64),
    policy_version: '1',
    state_digest: null,
    requested_by: 'default/alice',
    approvers: [['owner', 'admin']],
    status: 'pending',
    decided_by: null,
    reason: null,
    created_at: at(0),
    expires_at: at(86_400),
    decided_at: null,
    ...fields,
  }
}

/** A folder of its own, gone after the test. */
export function scratch(onEnd: (cleanup: () => void) => void): string {
  const folder = mkdtempSync(join(tmpdir(), 'cloister-test-'))
  onEnd(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

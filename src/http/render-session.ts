import type { z } from 'zod'
import type { Session } from '../domain/session.ts'
import type { sessionSchema } from './schemas/session.ts'

/**
 * A session as the API shows it. Written field by field: what is added to the stored session is not shown until somebody says so.
 * Left out: names and values of secrets, instructions, setup, paths and uids of this machine, the driver's private facts.
 */
export function renderSession(session: Session): z.output<typeof sessionSchema> {
  const { sandbox } = session
  return {
    id: session.id,
    name: session.name,
    state: session.state,
    state_reason: session.state_reason,
    owner: session.owner,
    principal: session.principal,
    allowed_paths: session.allowed_paths,
    metadata: session.metadata,
    model: session.model,
    repo_url: session.repo_url,
    repo_ref: session.repo_ref,
    tools: session.tools,
    network: session.network,
    limits: session.limits,
    sandbox: sandbox && { kind: sandbox.kind, generation: sandbox.generation, isolation: sandbox.isolation },
    workspace_path: '/session/code',
    parent_session_id: session.parent_session_id,
    usage: session.usage,
    budgets: session.budgets,
    idle_timeout_seconds: session.idle_timeout_seconds,
    created_at: session.created_at,
    last_activity_at: session.last_activity_at,
    expires_at: session.expires_at,
    closed_at: session.closed_at,
  }
}

import type { Tool } from '../../catalog/define-tool.ts'
import type { Issue } from '../../domain/errors.ts'
import type { Invocation } from '../../domain/invocation.ts'
import { actorOf, type Caller } from '../../domain/principal.ts'
import type { Redactor } from '../../domain/redaction.ts'
import type { Session } from '../../domain/session.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import type { OpenInvocation } from '../../store/store.ts'
import type { InvokeRequest } from '../contracts.ts'
import { type Intake, newRecord } from './invocation-record.ts'
import type { Performance } from './invocation-runner.ts'
import type { LiveCall } from './open-calls.ts'

/** One call on its way through the gate. `record` and `stored` are replaced as the call goes on, and lie in its row. */
export interface GateCall {
  live: LiveCall
  record: Invocation
  stored: OpenInvocation['call']
  session: Session
  tool: Tool
  caller: Caller
  /** Parsed; empty when there are issues. */
  args: Record<string, unknown>
  issues: Issue[]
  redactor: Redactor
  performance: Performance | null
  resumed: { sandbox: Sandbox; generation: number; deadline: number } | null
  /** When it began to run, ms since the epoch; null: it did not. */
  ranFrom: number | null
}

export interface NewGateCall {
  live: LiveCall
  session: Session
  tool: Tool
  caller: Caller
  request: InvokeRequest
  intake: Intake
  redactor: Redactor
  performance: Performance | null
  at: Date
}

/** A call as it comes in, with its record as it will be written. Pure. */
export function newGateCall({ live, session, tool, caller, request, intake, redactor, performance, at }: NewGateCall): GateCall {
  const record = newRecord({
    id: live.id,
    session_id: session.id,
    turn_id: request.turn_id ?? null,
    tool_name: tool.metadata.name,
    observability: tool.metadata.observability,
    args: intake.shown,
    args_digest: intake.digest,
    actor: actorOf(caller),
    correlation_id: request.correlation_id ?? null,
    trace_id: request.trace_id ?? null,
    at: at.toISOString(),
  })
  const stored: OpenInvocation['call'] = {
    args: intake.stored,
    caller: { ...caller },
    generation: null,
    deadline: null,
    approved: request.approved === true,
    request_approval: request.request_approval === true,
    ...(performance && { resumable: false }),
  }
  const { args, issues } = intake
  return {
    live,
    record,
    stored,
    session,
    tool,
    caller,
    args: args ?? {},
    issues,
    redactor,
    performance,
    resumed: null,
    ranFrom: null,
  }
}

/** What became of something: nothing is thrown past it. */
export type Outcome<T> = { value: T } | { error: unknown }

/** What every event of an invocation says of it. */
export function about(record: Invocation): Record<string, unknown> {
  return { invocation_id: record.id, tool_name: record.tool_name, ...(record.turn_id !== null && { turn_id: record.turn_id }) }
}

export function describeIssues(issues: Issue[]): string {
  return issues.map(({ path, reason }) => `${path}: ${reason}`).join('; ')
}

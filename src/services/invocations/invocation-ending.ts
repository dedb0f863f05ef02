import type { ToolResult } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { type Artifact, type Invocation, InvocationRefused } from '../../domain/invocation.ts'
import { SYSTEM } from '../../domain/principal.ts'
import { makeRedactor } from '../../domain/redaction.ts'
import type { ToolArtifact } from '../../domain/tool.ts'
import { SandboxLost } from '../../sandbox/sandbox-errors.ts'
import type { OpenInvocation, Store } from '../../store/store.ts'
import type { Emit } from '../event-log.ts'
import { cutOutput } from './cut-output.ts'
import { about, describeIssues, type GateCall, type Outcome } from './gate-call.ts'
import type { InvocationServiceDependencies } from './invocation-dependencies.ts'
import { InvocationLog } from './invocation-log.ts'
import { type Failure, failureOf, issuesOf } from './invocation-record.ts'
import type { InvocationRunner } from './invocation-runner.ts'
import { keepArtifacts } from './keep-artifacts.ts'
import type { OpenCalls } from './open-calls.ts'

const WHOLE_OUTPUT = { name: 'output.json', content_type: 'application/json' }
const WHOLE_LOG = { name: 'log.txt', content_type: 'text/plain; charset=utf-8' }

interface Ran {
  failure: Failure | null
  output: Record<string, unknown> | null
  exit_code: number | null
  artifacts: ToolArtifact[]
  truncated: boolean
}

/**
 * How calls end. The finished record, the rows of its artifacts, their events and the end of the open row are one transaction;
 * bytes and log lines are there before it, and host is told that it may forget after it.
 */
export class InvocationEnding {
  readonly #deps: InvocationServiceDependencies
  readonly #calls: OpenCalls
  readonly #runner: InvocationRunner

  constructor(deps: InvocationServiceDependencies, calls: OpenCalls, runner: InvocationRunner) {
    this.#deps = deps
    this.#calls = calls
    this.#runner = runner
  }

  /** Ends a call that ran: output checked, redacted and cut, artifacts and log kept, the record written. */
  async conclude(call: GateCall, log: InvocationLog, result: Outcome<ToolResult<Record<string, unknown>>>): Promise<Invocation> {
    const { tool, redactor } = call
    const ran = this.#judge(call, result)
    const kept = await this.#keep(call, ran.artifacts)
    const redacted = ran.output && redactor.value(ran.output)
    const { primary_output, constraints } = tool.metadata
    const { output, cut } = redacted
      ? cutOutput(redacted, primary_output, constraints.output_limit_kb * 1024)
      : { output: null, cut: false }
    const longLog = await log.close()
    const whole = cut ? await this.#keep(call, [{ ...WHOLE_OUTPUT, content: JSON.stringify(redacted) }]) : []
    const logs = longLog === null ? [] : await this.#keep(call, [{ ...WHOLE_LOG, content: longLog }])
    const record = await this.#finish(call, {
      status: ran.failure?.status ?? 'succeeded',
      exit_code: ran.exit_code,
      error: ran.failure?.error ?? null,
      output,
      output_ref: whole[0]?.id ?? null,
      logs_ref: logs[0]?.id ?? null,
      truncated: cut || ran.truncated,
      artifacts: [...kept, ...whole, ...logs],
    })
    if (ran.failure?.thrown) throw new InvocationRefused(ran.failure.thrown, record)
    return record
  }

  /** Ends a call that did not run. */
  async fail(call: GateCall, error: unknown, also?: (tx: Store, emit: Emit) => Promise<void>): Promise<Invocation> {
    const failure = this.#failure(call, error)
    const record = await this.#finish(call, { status: failure.status, error: failure.error, exit_code: failure.exit_code }, also)
    if (failure.thrown) throw new InvocationRefused(failure.thrown, record)
    return record
  }

  /** Ends an invocation that nobody works on; a pending approval is void then. */
  async endRow(open: OpenInvocation, why: ToolError): Promise<void> {
    const { record } = open
    const { eventLog, invocationStore, clock } = this.#deps
    // The reason is our own text, and the secrets may be gone with the session.
    const failure = failureOf(why, makeRedactor({}), false)
    const at = clock().toISOString()
    const final: Invocation = {
      ...record,
      status: 'failed',
      error: failure.error,
      exit_code: failure.exit_code,
      completed_at: at,
      duration_ms: 0,
    }
    await this.#kill(open)
    const done = await eventLog.transaction(async (tx, emit) => {
      if (!(await tx.openInvocations.get(record.id))) return false
      const approval = await tx.approvals.ofInvocation(record.id)
      const from = approval?.status
      if (approval && (from === 'pending' || from === 'approved')) {
        const decision = { status: 'revoked', decided_by: SYSTEM.id, reason: why.message, decided_at: at } as const
        if (await tx.approvals.decide(approval.id, from, decision))
          await emit(record.session_id, 'approval.decided', SYSTEM, {
            ...about(record),
            approval_id: approval.id,
            status: 'revoked',
            reason: why.message,
          })
      }
      await invocationStore.put(final)
      await this.#closeRow(tx, emit, final)
      return true
    })
    if (done) this.#calls.finished(final)
  }

  /** A record was finished before a crash, and its row was not. */
  async finishStored(record: Invocation): Promise<void> {
    await this.#deps.eventLog.transaction(async (tx, emit) => {
      if (await tx.openInvocations.get(record.id)) await this.#closeRow(tx, emit, record)
    })
    this.#calls.finished(record)
  }

  /** @param stored lines of before a restart */
  log(call: GateCall, stored: Parameters<Store['logs']['append']>[1]): InvocationLog {
    const { store, eventLog, clock, logger } = this.#deps
    return new InvocationLog({
      invocationId: call.record.id,
      sessionId: call.session.id,
      store,
      eventLog,
      redactor: call.redactor,
      clock,
      stored,
      onError: (error) => logger.error({ err: error, invocation_id: call.record.id }, 'log lines could not be stored'),
    })
  }

  /** What came of a run, against what the tool promised. An output that does not fit its schema is our fault. */
  #judge(call: GateCall, result: Outcome<ToolResult<Record<string, unknown>>>): Ran {
    const { tool } = call
    if ('value' in result) {
      const { output, exit_code = null, artifacts = [], truncated = false } = result.value
      const parsed = tool.output.safeParse(output)
      if (parsed.success) return { failure: null, output: parsed.data, exit_code, artifacts, truncated }
      const misfit = new Error(
        `the output of ${tool.metadata.name} does not fit its schema: ${describeIssues(issuesOf(parsed.error))}`,
      )
      return { failure: this.#failure(call, misfit), output: null, exit_code: null, artifacts: [], truncated: false }
    }
    const failure = this.#failure(call, result.error)
    const { output = null, artifacts = [] } = result.error instanceof ToolError ? result.error : {}
    // A command that was cut off leaves what it printed, which is not the tool's output.
    const parsed = tool.output.safeParse(output)
    return { failure, output: parsed.success ? parsed.data : output, exit_code: failure.exit_code, artifacts, truncated: false }
  }

  #keep(call: GateCall, artifacts: ToolArtifact[]): Promise<Artifact[]> {
    return keepArtifacts(this.#deps.artifacts, call.session.id, artifacts, call.redactor, this.#deps.clock().toISOString())
  }

  #failure(call: GateCall, error: unknown): Failure {
    const failure = failureOf(
      error instanceof SandboxLost ? new ToolError('sandbox_lost', error.message) : error,
      call.redactor,
      call.tool.metadata.idempotency === 'guaranteed',
    )
    if (failure.error.code === 'internal')
      this.#deps.logger.error(
        { err: error, invocation_id: call.record.id, tool_name: call.record.tool_name },
        'a call failed for a reason of ours',
      )
    return failure
  }

  /** What an invocation that nobody works on left running. A sandbox that cannot be told is gone or going. */
  async #kill({ record, call }: OpenInvocation): Promise<void> {
    const running = this.#deps.sandboxes.current(record.session_id)
    if (running === null || running.generation !== call.generation) return
    try {
      await running.sandbox.cancel(record.id)
    } catch (error) {
      this.#deps.logger.warn(
        { err: error, invocation_id: record.id },
        'what an ended invocation left running could not be killed',
      )
    }
  }

  async #finish(
    call: GateCall,
    fields: Partial<Invocation>,
    also?: (tx: Store, emit: Emit) => Promise<void>,
  ): Promise<Invocation> {
    const { eventLog, invocationStore, clock } = this.#deps
    const now = clock()
    const record: Invocation = {
      ...call.record,
      ...fields,
      completed_at: now.toISOString(),
      duration_ms: Math.max(0, now.getTime() - (call.ranFrom ?? Date.parse(call.record.started_at))),
    }
    const stored = await eventLog.transaction(async (tx, emit) => {
      // Somebody else may have ended it (a session that closes): then that is how it ended.
      if (!(await tx.openInvocations.get(record.id))) return null
      await invocationStore.put(record)
      await also?.(tx, emit)
      await this.#closeRow(tx, emit, record)
      return record
    })
    const final = stored ?? (await invocationStore.get(record.id)) ?? record
    call.record = final
    this.#calls.finished(final)
    if (call.stored.generation !== null)
      await this.#runner.acknowledge(record.session_id, record.id, call.tool.metadata.constraints.max_retries + 1)
    return final
  }

  /** What belongs to a finished record besides itself. */
  async #closeRow(tx: Store, emit: Emit, record: Invocation): Promise<void> {
    const { session_id, actor } = record
    for (const artifact of record.artifacts) {
      await tx.artifacts.insert({ ...artifact, invocation_id: record.id, session_id })
      const { id, name, content_type, size_bytes, sha256 } = artifact
      await emit(session_id, 'artifact.stored', actor, {
        ...about(record),
        artifact_id: id,
        name,
        content_type,
        size_bytes,
        sha256,
      })
    }
    await emit(session_id, record.status === 'denied' ? 'invocation.denied' : 'invocation.completed', actor, {
      ...about(record),
      status: record.status,
      exit_code: record.exit_code,
      duration_ms: record.duration_ms,
      truncated: record.truncated,
      error: record.error && { code: record.error.code, message: record.error.message },
      ...(record.status === 'denied' && { decision: record.decision }),
    })
    await tx.openInvocations.remove(record.id)
    if (actor.kind !== 'system')
      await tx.sessions.addUsage(session_id, { invocations: 1 }, record.completed_at ?? record.started_at)
  }
}

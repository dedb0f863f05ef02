import type { ToolResult } from '../../catalog/define-tool.ts'
import { CloisterError, ToolError } from '../../domain/errors.ts'
import { type Invocation, InvocationRefused } from '../../domain/invocation.ts'
import { SYSTEM } from '../../domain/principal.ts'
import { makeRedactor } from '../../domain/redaction.ts'
import { exceedsShown } from '../../domain/shown-result.ts'
import type { ToolArtifact } from '../../domain/tool-artifact.ts'
import { durationBucket, outcomeOf, statisticsDay } from '../../domain/tool-statistics.ts'
import { SandboxLost } from '../../sandbox/sandbox-errors.ts'
import type { OpenInvocation, Store } from '../../store/store.ts'
import type { Emit } from '../event-log.ts'
import { ArtifactKeeper, type ArtifactShelf } from './artifact-keeper.ts'
import { cutOutput } from './cut-output.ts'
import { about, describeIssues, type GateCall, type Outcome } from './gate-call.ts'
import type { InvocationServiceDependencies } from './invocation-dependencies.ts'
import { InvocationLog } from './invocation-log.ts'
import { type Failure, failureOf, issuesOf, previewArgs } from './invocation-record.ts'
import type { InvocationRunner } from './invocation-runner.ts'
import type { OpenCalls } from './open-calls.ts'

const WHOLE_OUTPUT = { name: 'output.json', content_type: 'application/json' }
const WHOLE_LOG = { name: 'log.txt', content_type: 'text/plain; charset=utf-8' }

/**
 * The call is over, and the store of finished records is away. How it ended lies in the open row, so nothing is to be done again:
 * `resume` finishes the record once the store is back.
 */
export class NotRecorded extends CloisterError {
  constructor(invocationId: string, cause: unknown) {
    super(
      'store_unavailable',
      'the call is over, and its record cannot be stored now: it will be, so ask for this invocation later instead of calling again',
      { details: { invocation_id: invocationId }, cause },
    )
    this.name = 'NotRecorded'
  }
}

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
  readonly #keeper: ArtifactKeeper

  constructor(deps: InvocationServiceDependencies, calls: OpenCalls, runner: InvocationRunner) {
    this.#deps = deps
    this.#calls = calls
    this.#runner = runner
    this.#keeper = new ArtifactKeeper({ ...deps, limits: deps.artifactLimits })
  }

  /** Ends a call that ran: output checked, redacted and cut, artifacts and log kept, the record written. */
  async conclude(call: GateCall, log: InvocationLog, result: Outcome<ToolResult<Record<string, unknown>>>): Promise<Invocation> {
    const shelf = this.#keeper.open(call.session.id, call.redactor)
    try {
      return await this.#concludeWith(shelf, call, log, result)
    } finally {
      shelf.release()
    }
  }

  async #concludeWith(
    shelf: ArtifactShelf,
    call: GateCall,
    log: InvocationLog,
    result: Outcome<ToolResult<Record<string, unknown>>>,
  ): Promise<Invocation> {
    const { tool, redactor } = call
    const ran = this.#judge(call, result)
    const kept = await shelf.keep(ran.artifacts, this.#deps.artifactLimits.perInvocation)
    const redacted = ran.output && redactor.value(ran.output)
    const { primary_output, constraints } = tool.metadata
    const { output, cut } = redacted
      ? cutOutput(redacted, primary_output, constraints.output_limit_kb * 1024)
      : { output: null, cut: false }
    const longLog = await log.close()
    const whole = cut ? await shelf.keep([{ ...WHOLE_OUTPUT, content: JSON.stringify(redacted) }]) : []
    const logs = longLog === null ? [] : await shelf.keep([{ ...WHOLE_LOG, content: longLog }])
    const failure = this.#withExcess(call, ran.failure, shelf.excess)
    const error = failure?.error ?? null
    // The record has it whole, but the agent's model is shown less: it finds the rest by the artifact's name.
    if (!cut && call.record.turn_id !== null && exceedsShown({ output, error, artifacts: [...kept, ...logs] })) {
      const copy = await shelf.keepIfItFits({ ...WHOLE_OUTPUT, content: JSON.stringify(output) })
      if (copy) whole.push(copy)
    }
    const record = await this.#finish(call, {
      status: failure?.status ?? 'succeeded',
      exit_code: ran.exit_code,
      error,
      output,
      output_ref: whole[0]?.id ?? null,
      logs_ref: logs[0]?.id ?? null,
      truncated: cut || ran.truncated,
      artifacts: [...kept, ...whole, ...logs],
    })
    if (failure?.thrown) throw new InvocationRefused(failure.thrown, record)
    return record
  }

  /** Ends a call that did not run. */
  async fail(call: GateCall, error: unknown, also?: (tx: Store, emit: Emit) => Promise<void>): Promise<Invocation> {
    const failure = this.#failure(call, error)
    const { status, error: told, exit_code } = failure
    // What nothing was decided on is of no use whole, and whoever is refused must not fill the store.
    const shown = call.record.decision === null && { args: previewArgs(call.record.args) }
    const record = await this.#finish(call, { ...shown, status, error: told, exit_code }, also)
    if (failure.thrown) throw new InvocationRefused(failure.thrown, record)
    return record
  }

  /** Ends an invocation that nobody works on; a pending approval is void then. */
  async endRow(open: OpenInvocation, why: ToolError): Promise<void> {
    const { record } = open
    const { clock } = this.#deps
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
    const done = await this.#record(final, open.call, async (tx, emit) => {
      if (!(await tx.openInvocations.get(record.id))) return false
      await voidApproval(tx, emit, final, 'revoked', why.message)
      await this.#closeRow(tx, emit, final)
      return true
    })
    if (done) this.#calls.finished(final)
  }

  /** A record was finished before a crash, or while the store of finished records was away, and its row was not. */
  async finishStored(record: Invocation, call: OpenInvocation['call']): Promise<void> {
    const finished = await this.#record(record, call, async (tx, emit) => {
      if (!(await tx.openInvocations.get(record.id))) return false
      // What asked for consent and never ran needs none any more.
      await voidApproval(tx, emit, record, 'expired', record.error?.message ?? 'the call is over')
      await this.#closeRow(tx, emit, record)
      return true
    })
    if (!finished) return
    this.#calls.finished(record)
    const retries = this.#deps.catalog.get(record.tool_name)?.metadata.constraints.max_retries ?? 0
    if (call.generation !== null) await this.#runner.acknowledge(record.session_id, record.id, retries + 1)
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

  /** A call that left more than may be kept failed by that, unless it failed before: then its error says so too. */
  #withExcess(call: GateCall, failure: Failure | null, excess: string | null): Failure | null {
    if (excess === null) return failure
    if (failure === null) return this.#failure(call, new ToolError('output_too_large', `${excess}; what came before is kept`))
    return { ...failure, error: { ...failure.error, message: `${failure.error.message} (${excess})` } }
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
    const { invocationStore, clock } = this.#deps
    const now = clock()
    const record: Invocation = {
      ...call.record,
      ...fields,
      completed_at: now.toISOString(),
      duration_ms: Math.max(0, now.getTime() - (call.ranFrom ?? Date.parse(call.record.started_at))),
    }
    const stored = await this.#record(record, call.stored, async (tx, emit) => {
      // Somebody else may have ended it (a session that closes): then that is how it ended.
      if (!(await tx.openInvocations.get(record.id))) return false
      await also?.(tx, emit)
      await this.#closeRow(tx, emit, record)
      return true
    })
    const final = stored ? record : ((await invocationStore.get(record.id)) ?? record)
    call.record = final
    this.#calls.finished(final)
    if (call.stored.generation !== null)
      await this.#runner.acknowledge(record.session_id, record.id, call.tool.metadata.constraints.max_retries + 1)
    return final
  }

  /**
   * One transaction with what `work` writes; the record itself goes last, since where it is kept elsewhere it cannot be taken back.
   * False, and nothing is put, when `work` says so.
   * @throws NotRecorded when that other store is away; the open row has the record then
   */
  async #record(
    record: Invocation,
    call: OpenInvocation['call'],
    work: (tx: Store, emit: Emit) => Promise<boolean>,
  ): Promise<boolean> {
    const { eventLog, invocationStore, store, logger } = this.#deps
    try {
      return await eventLog.transaction(async (tx, emit) => {
        const mine = await work(tx, emit)
        if (mine) await invocationStore.put(record)
        return mine
      })
    } catch (error) {
      const away = error instanceof CloisterError && error.code === 'store_unavailable' && invocationStore.kind !== 'sql'
      if (!away) throw error
      logger.warn({ err: error, invocation_id: record.id }, 'a finished record waits for the store of finished records')
      await store.transaction(async (tx) => {
        if (await tx.openInvocations.get(record.id))
          await tx.openInvocations.update(record.id, { call: { ...call, finished: record } })
      })
      throw new NotRecorded(record.id, error)
    }
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
      ...(record.status === 'denied' && {
        decision: record.decision,
        rule: record.error?.details?.['rule'] ?? record.error?.code ?? null,
      }),
    })
    await tx.openInvocations.remove(record.id)
    const outcome = outcomeOf(record)
    if (outcome !== null)
      await tx.toolOutcomes.count(session_id, {
        tool_name: record.tool_name,
        outcome,
        duration_bucket: outcome === 'denied' ? 0 : durationBucket(record.duration_ms ?? 0),
        day: statisticsDay(new Date(record.completed_at ?? record.started_at)),
      })
    if (actor.kind !== 'system')
      await tx.sessions.addUsage(session_id, { invocations: 1 }, record.completed_at ?? record.started_at)
  }
}

/** A call that is over cannot be approved any more, nor run by an approval that it has. */
async function voidApproval(
  tx: Store,
  emit: Emit,
  record: Invocation,
  status: 'revoked' | 'expired',
  reason: string,
): Promise<void> {
  const approval = await tx.approvals.ofInvocation(record.id)
  const from = approval?.status
  if (!approval || (from !== 'pending' && from !== 'approved')) return
  const decision = { status, decided_by: SYSTEM.id, reason, decided_at: record.completed_at }
  if (!(await tx.approvals.decide(approval.id, from, decision))) return
  const said = { ...about(record), approval_id: approval.id, reason }
  if (status === 'expired') await emit(record.session_id, 'approval.expired', SYSTEM, said)
  else await emit(record.session_id, 'approval.decided', SYSTEM, { ...said, status })
}

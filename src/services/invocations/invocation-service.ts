import type { Approval } from '../../domain/approval.ts'
import { DEFAULT_APPROVERS } from '../../domain/approvers.ts'
import { errors, ToolError } from '../../domain/errors.ts'
import { newId } from '../../domain/ids.ts'
import { type Invocation, InvocationRefused, type InvocationStatus } from '../../domain/invocation.ts'
import { actorOf, type Caller, principalKey, SYSTEM } from '../../domain/principal.ts'
import { admits, type Session } from '../../domain/session.ts'
import type { ToolMetadata } from '../../domain/tool.ts'
import type { ToolStatistics } from '../../domain/tool-statistics.ts'
import type { Decision } from '../../policy/policy-engine.ts'
import type { PageRequest, Store } from '../../store/store.ts'
import { activeTraceId } from '../../telemetry/tracing.ts'
import type { Invocations, InvokeRequest, PolicyCheck, ToolFilter } from '../contracts.ts'
import { inCallSpan } from './call-span.ts'
import { about, describeIssues, type GateCall, newGateCall } from './gate-call.ts'
import type { InvocationServiceDependencies } from './invocation-dependencies.ts'
import { InvocationEnding, NotRecorded } from './invocation-ending.ts'
import { InvocationExecution } from './invocation-execution.ts'
import { InvocationReader } from './invocation-reader.ts'
import { checkCorrelationId, examineArgs, type Intake, isOpen, mayTryAgain, previewArgs, refusalOf } from './invocation-record.ts'
import { InvocationReopener } from './invocation-reopener.ts'
import { InvocationRunner, type Performance, untilAborted } from './invocation-runner.ts'
import { cancelled, type LiveCall, OpenCalls, stopping } from './open-calls.ts'
import { approversOf, PolicyGate } from './policy-gate.ts'
import { systemTool } from './system-tool.ts'

/** Calls of one session that may wait for a person. */
const MAX_WAITING = 100

/**
 * THE gate. Whoever calls, nothing reaches a sandbox in another way.
 *
 * Order of the writes, so that a crash between any two loses nothing that was acknowledged and does nothing twice:
 *
 * 1. the open row (what was asked) with its correlation id, and `invocation.requested`: one transaction;
 * 2. what was decided, and `invocation.started`: one transaction. A crash before: the call is evaluated again, it did nothing yet;
 * 3. the sandbox's generation, before its first operation. A crash before: it did nothing yet, and is run;
 *    a crash after: host knows each operation by its id, and the same handler run again finds what it did;
 * 4. log lines in batches while it runs; after a crash the replayed output repeats them and as many are skipped;
 * 5. bytes of artifacts: nothing names them yet; after a crash they are stored again under other ids;
 * 6. the finished record, artifact rows, their events, `invocation.completed` or `.denied`, and the open row goes: one transaction.
 *    Where finished records are kept elsewhere, the record goes there last in it: a crash before the commit is put right by `resume`,
 *    which finds the record there. When that store is away the transaction is rolled back and the finished record is laid into the
 *    open row; the caller gets `store_unavailable`, and `resume` puts it when the store is back. Nothing runs a second time;
 * 7. host is told that it may forget.
 */
export class InvocationService implements Invocations {
  readonly #deps: InvocationServiceDependencies
  readonly #reader: InvocationReader
  readonly #policy: PolicyGate
  readonly #ending: InvocationEnding
  readonly #execution: InvocationExecution
  readonly #reopener: InvocationReopener
  readonly #calls = new OpenCalls()

  constructor(deps: InvocationServiceDependencies) {
    this.#deps = deps
    this.#reader = new InvocationReader(deps)
    this.#policy = new PolicyGate(deps)
    const runner = new InvocationRunner(deps)
    this.#ending = new InvocationEnding(deps, this.#calls, runner)
    const parts = { calls: this.#calls, runner, ending: this.#ending, policy: this.#policy }
    this.#execution = new InvocationExecution(deps, parts)
    this.#reopener = new InvocationReopener(deps, {
      ...parts,
      execution: this.#execution,
      evaluate: (call) => this.#evaluate(call),
    })
  }

  invoke(caller: Caller, request: InvokeRequest): Promise<Invocation> {
    return this.perform(caller, request, null)
  }

  /**
   * As `invoke`, with something else done in the handler's place: for raw files, whose bytes do not fit into args. Everything
   * that is checked and recorded is the same.
   * @param shownArgs what the record shows as args
   */
  async perform(
    caller: Caller,
    request: InvokeRequest,
    performance: Performance | null,
    shownArgs?: Record<string, unknown>,
  ): Promise<Invocation> {
    if (this.#calls.stopped.aborted) throw stopping()
    const session = await this.#reader.session(caller, request.session_id, null)
    const refusal = admits(session, 'invoke')
    if (refusal) throw refusal
    // Nothing is begun whose end could not be recorded; the database itself is asked by the first write.
    if (this.#deps.invocationStore.kind !== 'sql') await this.#deps.invocationStore.ping()
    const tool = this.#policy.visible(session, request.tool_name)
    if (!tool) throw errors.notFound('tool')
    checkCorrelationId(request)
    const flood = this.#deps.quota.flooded(session.id, principalKey(session.principal))
    if (flood) throw errors.rateLimited(`${flood.reason}, and as many more were refused`, flood.retryAfterSeconds)
    const redactor = await this.#deps.sandboxes.redactor(session.id)
    const trace_id = request.trace_id ?? activeTraceId()
    if (redactor.find([request.correlation_id, request.turn_id, trace_id]).length > 0)
      throw errors.invalidArgument('correlation_id or trace id holds the value of a secret')
    const intake = examineArgs(session.id, tool.metadata.name, tool.input, request.args ?? {}, redactor)
    const id = newId('inv', this.#now())
    const live = this.#calls.enlist(id) as LiveCall
    try {
      const shown = shownArgs ? redactor.value(shownArgs) : intake.shown
      const call = newGateCall({
        live,
        session,
        tool,
        caller,
        request: trace_id === null ? request : { ...request, trace_id },
        intake: { ...intake, shown },
        redactor,
        performance,
        at: this.#deps.clock(),
      })
      const existing = await this.#open(call)
      if (!existing) return await this.#evaluate(call)
      // It is not ours to work on: whoever stops the server must not wait for us.
      this.#calls.letGo(live)
      return await this.#replay(existing)
    } finally {
      this.#calls.letGo(live)
    }
  }

  async settled(invocationId: string, signal?: AbortSignal): Promise<Invocation> {
    // Whoever waits is registered before the record is read, so that no end falls in between.
    const leave = new AbortController()
    const waiting = this.#calls.wait(invocationId, signal ? AbortSignal.any([signal, leave.signal]) : leave.signal)
    waiting.catch(() => undefined)
    try {
      const record = await this.#reader.record(invocationId)
      if (!record) throw errors.notFound('invocation')
      return isOpen(record) ? await waiting : record
    } finally {
      leave.abort(cancelled('nobody waits any more'))
    }
  }

  get(caller: Caller, id: string) {
    return this.#reader.get(caller, id, 'session:get')
  }

  list(caller: Caller, sessionId: string, filter: { tool?: string; status?: InvocationStatus }, page: PageRequest) {
    return this.#reader.list(caller, sessionId, filter, page)
  }

  logs(caller: Caller, id: string, page: PageRequest) {
    return this.#reader.logs(caller, id, page)
  }

  artifacts(caller: Caller, id: string, page: PageRequest) {
    return this.#reader.artifacts(caller, id, page)
  }

  artifact(caller: Caller, id: string, artifactId: string) {
    return this.#reader.artifact(caller, id, artifactId)
  }

  async tools(caller: Caller, sessionId: string, filter: ToolFilter): Promise<ToolMetadata[]> {
    const session = await this.#seen(caller, sessionId)
    return this.#policy
      .catalogView(session)
      .list()
      .filter((tool) => (filter.risk ?? tool.risk_level) === tool.risk_level)
      .filter((tool) => (filter.side_effects ?? tool.side_effects) === tool.side_effects)
      .filter((tool) => (filter.scope ?? tool.scope) === tool.scope)
      .filter((tool) => (filter.family ?? tool.family) === tool.family)
  }

  async toolStatistics(caller: Caller, sessionId: string): Promise<Map<string, ToolStatistics>> {
    return this.#policy.statistics(await this.#seen(caller, sessionId))
  }

  async check(caller: Caller, sessionId: string, toolName: string, args: unknown): Promise<PolicyCheck> {
    const session = await this.#reader.session(caller, sessionId, 'session:get')
    const redactor = await this.#deps.sandboxes.redactor(session.id)
    return this.#policy.check(caller, session, redactor, toolName, args)
  }

  async cancel(caller: Caller, id: string): Promise<Invocation> {
    const record = await this.#reader.get(caller, id, 'session:message')
    if (isOpen(record)) await this.#reopener.end(id, cancelled(`cancelled by ${actorOf(caller).id}`))
    return (await this.#reader.record(id)) ?? record
  }

  async abandonSession(sessionId: string, reason: string): Promise<void> {
    const open = await this.#deps.store.openInvocations.ofSession(sessionId)
    await Promise.all(open.map(({ record }) => this.#reopener.end(record.id, cancelled(reason))))
  }

  approvalDecided(approval: Approval): Promise<void> {
    return this.#reopener.approvalDecided(approval)
  }

  async approvalExpired(approval: Approval): Promise<void> {
    await this.approvalDecided(approval)
  }

  /**
   * Idempotent, and safe at any time: what this server works on is left alone. Resolves when every open call is under way again
   * or has been ended; `settled` tells of the rest.
   */
  resume(): Promise<void> {
    return this.#reopener.resume()
  }

  /**
   * `run` throws a `ToolError` for a step that failed; the record says so, and is returned. `exit_code` other than 0 is a failure too.
   */
  async recordSystem(
    session: Session,
    toolName: 'session.setup' | 'session.clone' | 'session.copy_source',
    run: Parameters<Invocations['recordSystem']>[2],
  ): Promise<Invocation> {
    if (this.#calls.stopped.aborted) throw stopping()
    const redactor = await this.#deps.sandboxes.redactor(session.id)
    const live = this.#calls.enlist(newId('inv', this.#now())) as LiveCall
    try {
      const tool = systemTool(toolName)
      const intake: Intake = { args: {}, stored: {}, shown: {}, digest: '', issues: [] }
      const trace_id = activeTraceId()
      const request = { session_id: session.id, tool_name: toolName, args: {}, ...(trace_id !== null && { trace_id }) }
      const caller: Caller = { kind: 'system' }
      const call = newGateCall({
        live,
        session,
        tool,
        caller,
        request,
        intake,
        redactor,
        performance: null,
        at: this.#deps.clock(),
      })
      call.ranFrom = this.#now()
      await this.#deps.eventLog.transaction(async (tx, emit) => {
        await tx.openInvocations.insert({ record: call.record, call: { ...call.stored, resumable: false } })
        await emit(session.id, 'invocation.started', SYSTEM, { ...about(call.record) })
      })
      const log = this.#ending.log(call, [])
      const io = {
        invocationId: live.id,
        output: (channel: 'stdout' | 'stderr', chunk: Buffer) => log.output(channel, chunk),
        outputCut: () => log.cutOff(),
      }
      const result = await this.#execution.whileServing(
        untilAborted(
          inCallSpan(call, () => run(io)).then(({ exit_code, output }) => {
            if (exit_code !== null && exit_code !== 0)
              throw new ToolError('execution_failed', `it exited with ${exit_code}`, { output, exitCode: exit_code })
            return { output, exit_code }
          }),
          live.signal,
        ),
        log,
      )
      return await this.#ending.conclude(call, log, result)
    } catch (error) {
      if (error instanceof InvocationRefused) return error.invocation
      throw error
    } finally {
      this.#calls.letGo(live)
    }
  }

  /** What still runs in sandboxes goes on there; its rows stay open for the next server. */
  async stop(): Promise<void> {
    await this.#calls.stop()
  }

  /** The session, for who may see its tools: agents too. */
  #seen(caller: Caller, sessionId: string): Promise<Session> {
    const agent = caller.kind === 'agent' || caller.kind === 'mcp'
    return this.#reader.session(caller, sessionId, agent ? null : 'session:get')
  }

  /** Writes the open row. Answers with the earlier invocation if the correlation id names one that stands. */
  async #open(call: GateCall): Promise<Invocation | null> {
    const { record, stored } = call
    return this.#deps.eventLog.transaction(async (tx, emit) => {
      // Asked again inside: a session that is closed meanwhile either sees our row, or we see its state.
      const session = await tx.sessions.get(record.session_id)
      const refusal = session ? admits(session, 'invoke') : errors.notFound('session')
      if (refusal) throw refusal
      const existing = await this.#correlated(tx, record)
      if (existing) return existing
      await tx.openInvocations.insert({ record, call: stored })
      // What begins is activity, as what ends is: the session is not idle meanwhile.
      await tx.sessions.addUsage(record.session_id, {}, record.started_at)
      await emit(record.session_id, 'invocation.requested', record.actor, {
        ...about(record),
        args: previewArgs(record.args),
        args_digest: record.args_digest,
        ...(record.correlation_id !== null && { correlation_id: record.correlation_id }),
      })
      return null
    })
  }

  async #correlated(tx: Store, record: Invocation): Promise<Invocation | null> {
    const { session_id, correlation_id, args_digest } = record
    if (correlation_id === null) return null
    const named = await tx.openInvocations.byCorrelation(session_id, correlation_id)
    if (!named) return null
    if (named.args_digest !== args_digest)
      throw errors.conflict('this correlation id was used for another call: use a new one', {
        invocation_id: named.invocation_id,
      })
    const open = await tx.openInvocations.get(named.invocation_id)
    const existing = open?.record ?? (await this.#deps.invocationStore.get(named.invocation_id))
    if (!existing)
      throw errors.conflict(
        'this call was made before, and its record is no longer kept: use a new correlation id to make it again',
        {
          invocation_id: named.invocation_id,
        },
      )
    if (!mayTryAgain(existing)) return existing
    await tx.openInvocations.forgetCorrelation(session_id, correlation_id)
    return null
  }

  /** The answer that the first call got, or gets. */
  async #replay(existing: Invocation): Promise<Invocation> {
    const record = existing.status === 'running' ? await this.settled(existing.id) : existing
    const refusal = refusalOf(record)
    if (refusal) throw new InvocationRefused(refusal, record)
    return record
  }

  #evaluate(call: GateCall): Promise<Invocation> {
    return inCallSpan(call, () => this.#gate(call))
  }

  /** From the quota on. Never leaves a record without an end, unless the server stops. */
  async #gate(call: GateCall): Promise<Invocation> {
    try {
      const admission = this.#deps.quota.enter(call.session.id, principalKey(call.session.principal))
      try {
        // Such a call counts, and whether there was room for it or not, its caller has to mend it first.
        if (call.issues.length > 0)
          throw errors.invalidArgument(
            `the arguments of ${call.tool.metadata.name} are not valid: ${describeIssues(call.issues)}`,
            call.issues,
          )
        if (!admission.ok) throw errors.rateLimited(admission.reason, admission.retryAfterSeconds)
        const decision = await this.#policy.decide(call)
        // A policy server takes its time: nothing is begun that a stopping server would leave at once.
        if (this.#calls.stopped.aborted) throw stopping()
        const use = this.#policy.consent(call, decision)
        if (use === 'ask') return await this.#ask(call, decision)
        await this.#execution.start(call, use)
        return await this.#execution.run(call)
      } finally {
        if (admission.ok) admission.release()
      }
    } catch (error) {
      if (error instanceof InvocationRefused || error instanceof NotRecorded || this.#calls.stopped.aborted) throw error
      return await this.#ending.fail(call, error)
    }
  }

  async #ask(call: GateCall, decision: Decision): Promise<Invocation> {
    const { eventLog, clock } = this.#deps
    const ttl = (decision.effect === 'require_approval' && decision.ttl_seconds) || this.#deps.approvalTtlSeconds
    const approvers = approversOf(decision) ?? DEFAULT_APPROVERS
    const waiting = await this.#deps.store.approvals.list(
      { session_id: call.session.id, status: 'pending' },
      { limit: MAX_WAITING, cursor: null },
    )
    if (waiting.items.length >= MAX_WAITING)
      throw errors.rateLimited(
        `${MAX_WAITING} calls of this session wait for an approval already: wait until some are decided`,
        60,
      )
    const digest = await this.#execution.whileServing(untilAborted(this.#execution.stateDigest(call), call.live.signal))
    if ('error' in digest) throw digest.error
    const now = clock()
    const id = newId('apr', now.getTime())
    // Who asked is told which approval to wait for, or to have decided.
    const waits = { kind: 'requested', by: null, approval_id: id } as const
    const record: Invocation = { ...call.record, status: 'pending_approval', approval: waits }
    const approval: Approval = {
      id,
      session_id: record.session_id,
      invocation_id: record.id,
      tool_name: record.tool_name,
      args: record.args,
      args_digest: record.args_digest,
      policy_version: decision.policy_version,
      state_digest: digest.value,
      requested_by: record.actor.id,
      approvers,
      status: 'pending',
      decided_by: null,
      reason: null,
      created_at: now.toISOString(),
      expires_at: new Date(now.getTime() + ttl * 1000).toISOString(),
      decided_at: null,
    }
    call.live.signal.throwIfAborted()
    await eventLog.transaction(async (tx, emit) => {
      await tx.openInvocations.update(record.id, { record })
      await tx.approvals.insert(approval)
      await emit(record.session_id, 'approval.requested', record.actor, {
        ...about(record),
        approval_id: approval.id,
        args: previewArgs(record.args),
        args_digest: record.args_digest,
        reason: record.decision?.reason ?? null,
        approvers,
        expires_at: approval.expires_at,
      })
    })
    call.record = record
    return record
  }

  #now(): number {
    return this.#deps.clock().getTime()
  }
}

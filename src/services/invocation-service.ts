import type { Logger } from 'pino'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { CatalogView, PolicyView, Tool, ToolResult } from '../catalog/define-tool.ts'
import type { Approval } from '../domain/approval.ts'
import { CloisterError, errors, type Issue, ToolError } from '../domain/errors.ts'
import { newId } from '../domain/ids.ts'
import { type ApprovalUse, type Invocation, InvocationRefused, type InvocationStatus } from '../domain/invocation.ts'
import { allowedRoots } from '../domain/path.ts'
import { actorOf, type Caller, permissionsOf, principalKey, SYSTEM } from '../domain/principal.ts'
import type { Redactor } from '../domain/redaction.ts'
import { admits, type Session } from '../domain/session.ts'
import type { ToolArtifact, ToolMetadata } from '../domain/tool.ts'
import type { Decision, PolicyEngine } from '../policy/policy-engine.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import { SandboxLost } from '../sandbox/sandbox-errors.ts'
import type { InvocationStore, OpenInvocation, PageRequest, Store } from '../store/store.ts'
import type { Invocations, InvokeRequest, Sandboxes, ToolFilter } from './contracts.ts'
import { cutOutput } from './cut-output.ts'
import type { Emit, EventLog } from './event-log.ts'
import { InvocationLog } from './invocation-log.ts'
import { InvocationReader } from './invocation-reader.ts'
import {
  examineArgs,
  type Failure,
  failureOf,
  type Intake,
  isOpen,
  issuesOf,
  mayTryAgain,
  newRecord,
  previewArgs,
  refusalOf,
} from './invocation-record.ts'
import { InvocationRunner, type Performance, untilAborted } from './invocation-runner.ts'
import { keepArtifacts } from './keep-artifacts.ts'
import { cancelled, type LiveCall, OpenCalls, stopping } from './open-calls.ts'
import type { Quota } from './quota.ts'
import { stateDigest } from './state-digest.ts'
import { systemTool } from './system-tool.ts'
import { makeToolSandbox } from './tool-sandbox.ts'

export interface InvocationServiceDependencies {
  store: Store
  invocationStore: InvocationStore
  eventLog: EventLog
  artifacts: ArtifactStore
  catalog: Catalog
  policy: PolicyEngine
  sandboxes: Sandboxes
  quota: Quota
  logger: Pick<Logger, 'error' | 'warn'>
  clock: () => Date
  /** How long a requested approval waits, in seconds. */
  approvalTtlSeconds: number
  /** What the commands of one invocation may write together, in bytes. */
  maxOutputBytes: number
}

/** One call on its way through the gate. `record` is replaced as the call goes on. */
interface Call {
  live: LiveCall
  record: Invocation
  stored: OpenInvocation['call']
  session: Session
  tool: Tool
  caller: Caller
  args: Record<string, unknown>
  issues: Issue[]
  redactor: Redactor
  performance: Performance | null
  resumed: { sandbox: Sandbox; generation: number; deadline: number } | null
  /** When it began to run, ms since the epoch; null: it did not. */
  ranFrom: number | null
}

/** What a run leaves on its record. */
type Ending = Pick<Invocation, 'status'> & Partial<Pick<Invocation, 'error' | 'exit_code' | 'output' | 'truncated'>>

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
 *    Where finished records are kept elsewhere, the record goes there first; a crash in between is put right by `resume`;
 * 7. host is told that it may forget.
 */
export class InvocationService implements Invocations {
  readonly #deps: InvocationServiceDependencies
  readonly #reader: InvocationReader
  readonly #runner: InvocationRunner
  readonly #calls = new OpenCalls()

  constructor(deps: InvocationServiceDependencies) {
    this.#deps = deps
    this.#reader = new InvocationReader(deps)
    this.#runner = new InvocationRunner(deps)
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
    const tool = this.#visible(session, request.tool_name)
    if (!tool) throw errors.notFound('tool')
    const redactor = await this.#deps.sandboxes.redactor(session.id)
    if (redactor.find([request.correlation_id, request.turn_id, request.trace_id]).length > 0)
      throw errors.invalidArgument('correlation_id holds the value of a secret')
    const intake = examineArgs(session.id, tool.metadata.name, tool.input, request.args ?? {}, redactor)
    const id = newId('inv', this.#now())
    const live = this.#calls.enlist(id) as LiveCall
    try {
      const call = this.#newCall(
        live,
        session,
        tool,
        caller,
        request,
        { ...intake, shown: shownArgs ?? intake.shown },
        redactor,
        performance,
      )
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

  logs(caller: Caller, id: string) {
    return this.#reader.logs(caller, id)
  }

  artifacts(caller: Caller, id: string) {
    return this.#reader.artifacts(caller, id)
  }

  artifact(caller: Caller, id: string, artifactId: string) {
    return this.#reader.artifact(caller, id, artifactId)
  }

  async tools(caller: Caller, sessionId: string, filter: ToolFilter): Promise<ToolMetadata[]> {
    const agent = caller.kind === 'agent' || caller.kind === 'mcp'
    const session = await this.#reader.session(caller, sessionId, agent ? null : 'session:get')
    return this.#catalogView(session)
      .list()
      .filter((tool) => (filter.risk ?? tool.risk_level) === tool.risk_level)
      .filter((tool) => (filter.side_effects ?? tool.side_effects) === tool.side_effects)
      .filter((tool) => (filter.scope ?? tool.scope) === tool.scope)
      .filter((tool) => (filter.family ?? tool.family) === tool.family)
  }

  /** What the gate would say to a call. Runs and records nothing. */
  async check(caller: Caller, sessionId: string, toolName: string, args: Record<string, unknown>) {
    const session = await this.#reader.session(caller, sessionId, null)
    const redactor = await this.#deps.sandboxes.redactor(session.id)
    return this.#policyView(caller, session, redactor).check(toolName, args)
  }

  async cancel(caller: Caller, id: string): Promise<Invocation> {
    const record = await this.#reader.get(caller, id, 'session:message')
    if (isOpen(record)) await this.#end(id, cancelled(`cancelled by ${actorOf(caller).id}`))
    return (await this.#reader.record(id)) ?? record
  }

  async abandonSession(sessionId: string, reason: string): Promise<void> {
    const open = await this.#deps.store.openInvocations.ofSession(sessionId)
    await Promise.all(open.map(({ record }) => this.#end(record.id, cancelled(reason))))
  }

  async approvalDecided(approval: Approval): Promise<void> {
    const open = await this.#deps.store.openInvocations.get(approval.invocation_id)
    if (open?.record.status !== 'pending_approval') return
    if (approval.status === 'approved') await this.#runApproved(open, approval)
    else if (approval.status !== 'pending') await this.#denyApproval(open, approval)
  }

  async approvalExpired(approval: Approval): Promise<void> {
    await this.approvalDecided(approval)
  }

  /**
   * Idempotent, and safe at any time: what this server works on is left alone. Resolves when every open call is under way again
   * or has been ended; `settled` tells of the rest.
   */
  async resume(): Promise<void> {
    for (const open of await this.#deps.store.openInvocations.all()) {
      if (this.#calls.get(open.record.id)) continue
      try {
        await this.#resumeOne(open)
      } catch (error) {
        this.#deps.logger.error({ err: error, invocation_id: open.record.id }, 'an open invocation could not be resumed')
      }
    }
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
      const call = this.#newCall(
        live,
        session,
        tool,
        { kind: 'system' },
        { session_id: session.id, tool_name: toolName, args: {} },
        intake,
        redactor,
        null,
      )
      call.ranFrom = this.#now()
      await this.#deps.eventLog.transaction(async (tx, emit) => {
        await tx.openInvocations.insert({ record: call.record, call: { ...call.stored, resumable: false } })
        await emit(session.id, 'invocation.started', SYSTEM, { ...about(call.record) })
      })
      const log = this.#log(call, [])
      const result = await this.#whileServing(
        untilAborted(
          run({ invocationId: live.id, output: (channel, chunk) => log.output(channel, chunk) }).then(({ exit_code, output }) => {
            if (exit_code !== null && exit_code !== 0)
              throw new ToolError('execution_failed', `it exited with ${exit_code}`, { output, exitCode: exit_code })
            return { output, exit_code }
          }),
          live.signal,
        ),
        log,
      )
      return await this.#conclude(call, log, result)
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

  // ---- the way in

  #newCall(
    live: LiveCall,
    session: Session,
    tool: Tool,
    caller: Caller,
    request: InvokeRequest,
    intake: Intake,
    redactor: Redactor,
    performance: Performance | null,
  ): Call {
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
      at: this.#deps.clock().toISOString(),
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
    return {
      live,
      record,
      stored,
      session,
      tool,
      caller,
      args: intake.args ?? {},
      issues: intake.issues,
      redactor,
      performance,
      resumed: null,
      ranFrom: null,
    }
  }

  /** Writes the open row. Answers with the earlier invocation if the correlation id names one that stands. */
  async #open(call: Call): Promise<Invocation | null> {
    const { record, stored } = call
    return this.#deps.eventLog.transaction(async (tx, emit) => {
      // Asked again inside: a session that is closed meanwhile either sees our row, or we see its state.
      const session = await tx.sessions.get(record.session_id)
      const refusal = session ? admits(session, 'invoke') : errors.notFound('session')
      if (refusal) throw refusal
      const existing = await this.#correlated(tx, record)
      if (existing) return existing
      await tx.openInvocations.insert({ record, call: stored })
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

  /** From the arguments on. Never leaves a record without an end, unless the server stops. */
  async #evaluate(call: Call): Promise<Invocation> {
    try {
      if (call.issues.length > 0)
        throw errors.invalidArgument(
          `the arguments of ${call.tool.metadata.name} are not valid: ${describe(call.issues)}`,
          call.issues,
        )
      const admission = this.#deps.quota.enter(call.session.id, principalKey(call.session.principal))
      if (!admission.ok) throw errors.rateLimited(admission.reason, admission.retryAfterSeconds)
      try {
        const decision = this.#decide(call)
        const use = this.#consent(call, decision)
        if (use === 'ask') return await this.#ask(call)
        await this.#start(call, use)
        return await this.#run(call)
      } finally {
        admission.release()
      }
    } catch (error) {
      if (error instanceof InvocationRefused || this.#calls.stopped.aborted) throw error
      return await this.#fail(call, error)
    }
  }

  #decide(call: Call): Decision {
    const { caller, session, tool, args } = call
    const decision = this.#deps.policy.decide({
      caller,
      session,
      tool: tool.metadata,
      args,
      approval_reason: tool.approvalReason(args),
    })
    const { rule, reason, policy_version } = decision
    call.record = { ...call.record, decision: { rule, reason: call.redactor.text(reason), policy_version } }
    if (decision.effect !== 'deny') return decision
    throw new CloisterError('policy_denied', reason, { details: { rule, reason, violations: decision.violations } })
  }

  /** Null: none is needed. `ask`: somebody is to be asked. */
  #consent(call: Call, decision: Decision): ApprovalUse | null | 'ask' {
    const { caller, stored, tool } = call
    if (decision.effect === 'standing_approval') return { kind: 'standing', by: decision.by, approval_id: null }
    if (decision.effect !== 'require_approval') return null
    if (stored.approved && caller.kind === 'user' && permissionsOf(caller).includes('session:approve'))
      return { kind: 'given', by: principalKey(caller), approval_id: null }
    if (stored.request_approval) return 'ask'
    throw errors.approvalRequired(
      `${decision.reason}: send "approved": true if you may approve, or "request_approval": true to ask somebody who may`,
      { rule: decision.rule, reason: decision.reason, tool_name: tool.metadata.name },
    )
  }

  async #ask(call: Call): Promise<Invocation> {
    const { eventLog, approvalTtlSeconds, clock, policy } = this.#deps
    const digest = await this.#whileServing(untilAborted(this.#stateDigest(call), call.live.signal))
    if ('error' in digest) throw digest.error
    const record: Invocation = { ...call.record, status: 'pending_approval' }
    const now = clock()
    const approval: Approval = {
      id: newId('apr', now.getTime()),
      session_id: record.session_id,
      invocation_id: record.id,
      tool_name: record.tool_name,
      args: record.args,
      args_digest: record.args_digest,
      policy_version: policy.version,
      state_digest: digest.value,
      requested_by: record.actor.id,
      status: 'pending',
      decided_by: null,
      reason: null,
      created_at: now.toISOString(),
      expires_at: new Date(now.getTime() + approvalTtlSeconds * 1000).toISOString(),
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
        expires_at: approval.expires_at,
      })
    })
    call.record = record
    return record
  }

  // ---- running

  /** The decision and, for a requested approval, its single use are stored before anything runs. */
  async #start(call: Call, approval: ApprovalUse | null): Promise<void> {
    call.live.signal.throwIfAborted()
    const record: Invocation = { ...call.record, status: 'running', approval }
    await this.#deps.eventLog.transaction(async (tx, emit) => {
      if (approval?.kind === 'requested') {
        const used = await tx.approvals.decide(approval.approval_id as string, 'approved', { status: 'used' })
        if (!used) throw errors.policyDenied('approval_revoked', 'the approval was taken back before it was used')
        await emit(record.session_id, 'approval.used', record.actor, { ...about(record), approval_id: approval.approval_id })
      }
      await tx.openInvocations.update(record.id, { record, call: call.stored })
      await emit(record.session_id, 'invocation.started', record.actor, { ...about(record), decision: record.decision, approval })
    })
    call.record = record
  }

  async #run(call: Call): Promise<Invocation> {
    const { session, tool, args, live, performance, resumed } = call
    const before = resumed ? await this.#deps.store.logs.list(live.id) : []
    const effects = resumed ? await this.#fileEffects(resumed.sandbox, live.id) : false
    const log = this.#log(call, before)
    call.ranFrom = resumed ? Date.parse(call.record.started_at) : this.#now()
    const result = await this.#whileServing(
      this.#runner.run({
        invocationId: live.id,
        session,
        tool,
        args,
        performance,
        signal: live.signal,
        log,
        catalog: this.#catalogView(session),
        policy: this.#policyView(call.caller, session, call.redactor),
        resumed,
        onSandbox: async (generation, deadline) => {
          call.stored = { ...call.stored, generation, deadline: new Date(deadline).toISOString() }
          await this.#deps.store.openInvocations.update(live.id, { call: call.stored })
        },
      }),
      log,
    )
    // A handler that reads what it is about to write cannot be replayed past its own write: then nobody knows how it would have ended.
    if (effects && 'error' in result && result.error instanceof ToolError && result.error.code !== 'cancelled')
      return await this.#conclude(call, log, {
        error: new ToolError(
          'unknown_outcome',
          `the server was restarted while the call ran, and it had changed files: look before you repeat it (${result.error.message})`,
        ),
      })
    return await this.#conclude(call, log, result)
  }

  async #fileEffects(sandbox: Sandbox, invocationId: string): Promise<boolean> {
    const outcomes = await sandbox.outcomes(invocationId)
    return outcomes.some(({ kind, state }) => kind === 'file' && state === 'done')
  }

  /** What became of it, as a value. Rejects only when the server stops: then the call is the next server's. */
  async #whileServing<T>(work: Promise<T>, log?: InvocationLog): Promise<{ value: T } | { error: unknown }> {
    const outcome = work.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    try {
      const settled = await untilAborted(outcome, this.#calls.stopped)
      if (this.#calls.stopped.aborted && 'error' in settled) throw stopping()
      return settled
    } catch (error) {
      await log?.abandon()
      throw error
    }
  }

  async #conclude(
    call: Call,
    log: InvocationLog,
    result: { value: ToolResult<Record<string, unknown>> } | { error: unknown },
  ): Promise<Invocation> {
    const { tool, session, redactor } = call
    const guaranteed = tool.metadata.idempotency === 'guaranteed'
    const artifacts: ToolArtifact[] = []
    let ending: Ending
    let failure: Failure | null = null
    let output: Record<string, unknown> | null = null
    if ('value' in result) {
      const parsed = tool.output.safeParse(result.value.output)
      if (parsed.success) {
        output = parsed.data as Record<string, unknown>
        artifacts.push(...(result.value.artifacts ?? []))
        ending = { status: 'succeeded', exit_code: result.value.exit_code ?? null, truncated: result.value.truncated ?? false }
      } else {
        const issues = describe(issuesOf(parsed.error))
        failure = this.#failure(
          call,
          new Error(`the output of ${tool.metadata.name} does not fit its schema: ${issues}`),
          guaranteed,
        )
        ending = failure
      }
    } else {
      failure = this.#failure(call, result.error, guaranteed)
      ending = failure
      if (result.error instanceof ToolError) {
        artifacts.push(...result.error.artifacts)
        if (result.error.output) {
          const parsed = tool.output.safeParse(result.error.output)
          output = parsed.success ? (parsed.data as Record<string, unknown>) : result.error.output
        }
      }
    }
    const at = this.#deps.clock().toISOString()
    const kept = await keepArtifacts(this.#deps.artifacts, session.id, artifacts, redactor, at)
    const keep = async (artifact: ToolArtifact): Promise<string> => {
      const [stored] = await keepArtifacts(this.#deps.artifacts, session.id, [artifact], redactor, at)
      if (!stored) throw new Error('an artifact was not kept')
      kept.push(stored)
      return stored.id
    }
    const redacted = output && redactor.value(output)
    const { output: inline, cut } = redacted
      ? cutOutput(redacted, tool.metadata.primary_output, tool.metadata.constraints.output_limit_kb * 1024)
      : { output: null, cut: false }
    const outputRef = cut
      ? await keep({ name: 'output.json', content_type: 'application/json', content: JSON.stringify(redacted) })
      : null
    const longLog = await log.close()
    const logsRef =
      longLog === null ? null : await keep({ name: 'log.txt', content_type: 'text/plain; charset=utf-8', content: longLog })
    const record = await this.#finish(call, {
      status: ending.status,
      exit_code: ending.exit_code ?? null,
      error: failure?.error ?? null,
      output: inline,
      output_ref: outputRef,
      logs_ref: logsRef,
      truncated: cut || (ending.truncated ?? false),
      artifacts: kept,
    })
    if (failure?.thrown) throw new InvocationRefused(failure.thrown, record)
    return record
  }

  /** Ends a call that did not run. */
  async #fail(call: Call, error: unknown, also?: (tx: Store, emit: Emit) => Promise<void>): Promise<Invocation> {
    const failure = this.#failure(call, error, call.tool.metadata.idempotency === 'guaranteed')
    const record = await this.#finish(call, { status: failure.status, error: failure.error, exit_code: failure.exit_code }, also)
    if (failure.thrown) throw new InvocationRefused(failure.thrown, record)
    return record
  }

  #failure(call: Call, error: unknown, guaranteed: boolean): Failure {
    const failure = failureOf(
      error instanceof SandboxLost ? new ToolError('sandbox_lost', error.message) : error,
      call.redactor,
      guaranteed,
    )
    if (failure.error.code === 'internal')
      this.#deps.logger.error(
        { err: error, invocation_id: call.record.id, tool_name: call.record.tool_name },
        'a call failed for a reason of ours',
      )
    return failure
  }

  async #finish(call: Call, fields: Partial<Invocation>, also?: (tx: Store, emit: Emit) => Promise<void>): Promise<Invocation> {
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

  // ---- approvals, restarts, ends from outside

  async #runApproved(open: OpenInvocation, approval: Approval): Promise<void> {
    const live = this.#calls.enlist(open.record.id)
    if (!live) return
    let handedOver = false
    try {
      const call = await this.#reopened(live, open)
      if (!call) return
      try {
        if (call.issues.length > 0)
          throw errors.invalidArgument(`the arguments are no longer valid: ${describe(call.issues)}`, call.issues)
        this.#decide(call)
        const digest = await this.#whileServing(untilAborted(this.#stateDigest(call), live.signal))
        if ('error' in digest) throw digest.error
        if (approval.policy_version !== this.#deps.policy.version)
          throw stale('the policy is another one than when it was requested')
        if (approval.state_digest !== digest.value) throw stale('what it would change was changed since it was requested')
        await this.#start(call, { kind: 'requested', by: approval.decided_by ?? '', approval_id: approval.id })
      } catch (error) {
        if (this.#calls.stopped.aborted) throw error
        await this.#voidApproval(call, approval, error)
        return
      }
      handedOver = true
      this.#background(call, this.#deps.quota.occupy(call.session.id))
    } finally {
      if (!handedOver) this.#calls.letGo(live)
    }
  }

  /** It was approved and cannot run: the call ends, and the approval with it. */
  async #voidApproval(call: Call, approval: Approval, error: unknown): Promise<void> {
    const reason = call.redactor.text(error instanceof Error ? error.message : 'it could not be run')
    await ignoreRefusal(
      this.#fail(call, error, async (tx, emit) => {
        if (await tx.approvals.decide(approval.id, 'approved', { status: 'expired', reason }))
          await emit(call.session.id, 'approval.expired', SYSTEM, { ...about(call.record), approval_id: approval.id, reason })
      }),
    )
  }

  async #denyApproval(open: OpenInvocation, approval: Approval): Promise<void> {
    const live = this.#calls.enlist(open.record.id)
    if (!live) return
    try {
      const call = await this.#reopened(live, open)
      if (!call) return
      const said = approval.reason === null ? '' : `: ${approval.reason}`
      const [rule, reason] =
        approval.status === 'expired'
          ? ['approval_expired', `nobody approved it in time${said}`]
          : approval.status === 'revoked'
            ? ['approval_revoked', `the approval was revoked${said}`]
            : ['approval_denied', `${approval.decided_by ?? 'somebody'} denied it${said}`]
      await ignoreRefusal(this.#fail(call, errors.policyDenied(rule, reason)))
    } finally {
      this.#calls.letGo(live)
    }
  }

  /** A call from its row. Null: it cannot go on and was ended (its session is closed, its tool is gone). */
  async #reopened(live: LiveCall, open: OpenInvocation): Promise<Call | null> {
    const { record, call: stored } = open
    const { store, sandboxes, catalog } = this.#deps
    const session = await store.sessions.get(record.session_id)
    const refusal = session ? admits(session, 'invoke') : errors.notFound('session')
    const tool = catalog.get(record.tool_name)
    if (!session || !tool || (refusal && session.state !== 'initializing')) {
      await this.#endRow(
        open,
        refusal && session?.state !== 'initializing'
          ? cancelled(refusal.message)
          : cancelled(`there is no tool ${record.tool_name} any more`),
      )
      return null
    }
    const redactor = await sandboxes.redactor(session.id)
    const intake = examineArgs(session.id, record.tool_name, tool.input, stored.args, redactor)
    return {
      live,
      record,
      stored,
      session,
      tool,
      caller: stored.caller as unknown as Caller,
      args: intake.args ?? {},
      issues: intake.issues,
      redactor,
      performance: null,
      resumed: null,
      ranFrom: null,
    }
  }

  async #resumeOne(open: OpenInvocation): Promise<void> {
    const { record, call: stored } = open
    const { store, eventLog, invocationStore, sandboxes } = this.#deps
    const finished = await invocationStore.get(record.id)
    if (finished && !isOpen(finished)) {
      await eventLog.transaction(async (tx, emit) => {
        if (await tx.openInvocations.get(record.id)) await this.#closeRow(tx, emit, finished)
      })
      this.#calls.finished(finished)
      return
    }
    if (record.status === 'pending_approval') {
      const approval = await store.approvals.ofInvocation(record.id)
      if (approval) await this.approvalDecided(approval)
      else await this.#endRow(open, new ToolError('unknown_outcome', 'its approval is not on record'))
      return
    }
    const live = this.#calls.enlist(record.id)
    if (!live) return
    let handedOver = false
    try {
      if (stored.resumable === false) {
        await this.#endRow(open, unknownOutcome(false))
        return
      }
      const call = await this.#reopened(live, open)
      if (!call) return
      if (record.decision !== null && stored.generation !== null) {
        const current = sandboxes.current(record.session_id)
        if (current?.generation !== stored.generation) {
          await this.#fail(call, unknownOutcome(call.tool.metadata.idempotency === 'guaranteed'))
          return
        }
        call.resumed = { ...current, deadline: Date.parse(stored.deadline ?? record.started_at) }
      }
      handedOver = true
      if (record.decision !== null) this.#background(call, this.#deps.quota.occupy(call.session.id))
      else this.#inBackground(live, this.#evaluate(call))
    } finally {
      if (!handedOver) this.#calls.letGo(live)
    }
  }

  /** Runs a call that nobody waits for here: whoever wants to know asks `settled`. */
  #background(call: Call, release: () => void): void {
    const work = this.#run(call).catch((error: unknown) => {
      if (error instanceof InvocationRefused || this.#calls.stopped.aborted) throw error
      return this.#fail(call, error)
    })
    this.#inBackground(call.live, work.finally(release))
  }

  #inBackground(live: LiveCall, work: Promise<unknown>): void {
    work
      .catch((error: unknown) => {
        if (error instanceof InvocationRefused || this.#calls.stopped.aborted) return
        this.#deps.logger.error({ err: error, invocation_id: live.id }, 'how an invocation ended could not be recorded')
      })
      .finally(() => this.#calls.letGo(live))
  }

  /** Cancels whatever an open invocation does, and resolves when it is finished. */
  async #end(id: string, why: ToolError): Promise<void> {
    const live = this.#calls.get(id)
    live?.cancel(why)
    await live?.done
    const open = await this.#deps.store.openInvocations.get(id)
    if (open && !this.#calls.stopped.aborted) await this.#endRow(open, why)
  }

  /** Ends an invocation that nobody works on; a pending approval is void then. */
  async #endRow(open: OpenInvocation, why: ToolError): Promise<void> {
    const { record, call: stored } = open
    const { eventLog, invocationStore, sandboxes, clock } = this.#deps
    const redactor = await sandboxes.redactor(record.session_id)
    const failure = failureOf(why, redactor, false)
    const at = clock().toISOString()
    const final: Invocation = {
      ...record,
      status: 'failed',
      error: failure.error,
      exit_code: failure.exit_code,
      completed_at: at,
      duration_ms: 0,
    }
    const running = sandboxes.current(record.session_id)
    if (running && running.generation === stored.generation) await running.sandbox.cancel(record.id)
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

  // ---- parts

  #log(call: Call, stored: Parameters<Store['logs']['append']>[1]): InvocationLog {
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

  /** Looks at what the call would change. Its commands have names of their own, new each time: an old answer would be no answer. */
  async #stateDigest(call: Call): Promise<string | null> {
    const { sandboxes, maxOutputBytes } = this.#deps
    if (call.tool.metadata.side_effects === 'none') return null
    const { sandbox, generation } = await sandboxes.acquire(call.session.id)
    const invocationId = newId('inv', this.#now())
    try {
      const toolSandbox = makeToolSandbox({
        sandbox,
        invocationId,
        roots: allowedRoots(call.session.allowed_paths),
        signal: call.live.signal,
        deadline: this.#now() + call.tool.metadata.constraints.timeout_seconds * 1000,
        maxOutputBytes,
        onOutput: () => undefined,
        now: () => this.#now(),
      })
      const digest = await stateDigest(call.tool.metadata, call.args, toolSandbox)
      await sandbox.acknowledge(invocationId)
      return digest
    } catch (error) {
      const cause = error instanceof ToolError ? error.cause : error
      if (cause instanceof SandboxLost) await sandboxes.lost(call.session.id, generation, cause.message)
      throw error
    }
  }

  #visible(session: Session, name: string): Tool | null {
    const tool = this.#deps.catalog.get(name)
    return tool && this.#deps.policy.visible(session, tool.metadata) ? tool : null
  }

  #catalogView(session: Session): CatalogView {
    return {
      list: () =>
        this.#deps.catalog
          .list()
          .map(({ metadata }) => metadata)
          .filter((metadata) => this.#deps.policy.visible(session, metadata)),
      get: (name) => this.#visible(session, name)?.metadata ?? null,
    }
  }

  #policyView(caller: Caller, session: Session, redactor: Redactor): PolicyView {
    return {
      check: async (toolName, args) => {
        const refused = (reason: string, violations: string[]) => ({
          allowed: false,
          reason,
          requires_approval: false,
          violations,
        })
        const tool = this.#visible(session, toolName)
        if (!tool) return refused(`this session has no tool ${JSON.stringify(toolName)}`, [])
        const intake = examineArgs(session.id, toolName, tool.input, args, redactor)
        if (intake.args === null) {
          const reasons = intake.issues.map(({ path, reason }) => `${path}: ${reason}`)
          return refused(`the arguments are not valid: ${reasons.join('; ')}`, reasons)
        }
        const approval_reason = tool.approvalReason(intake.args)
        const decision = this.#deps.policy.decide({ caller, session, tool: tool.metadata, args: intake.args, approval_reason })
        if (decision.effect === 'deny')
          return refused(
            decision.reason,
            decision.violations.map(({ rule, reason }) => `${rule}: ${reason}`),
          )
        return {
          allowed: true,
          reason: decision.reason,
          requires_approval: decision.effect === 'require_approval',
          violations: [],
        }
      },
    }
  }

  #now(): number {
    return this.#deps.clock().getTime()
  }
}

/** What every event of an invocation says of it. */
function about(record: Invocation): Record<string, unknown> {
  return { invocation_id: record.id, tool_name: record.tool_name, ...(record.turn_id !== null && { turn_id: record.turn_id }) }
}

function describe(issues: Issue[]): string {
  return issues.map(({ path, reason }) => `${path}: ${reason}`).join('; ')
}

function stale(reason: string): CloisterError {
  return errors.policyDenied('approval_stale', `the approval is stale: ${reason}. Ask again`)
}

function unknownOutcome(guaranteed: boolean): ToolError {
  return guaranteed
    ? new ToolError(
        'sandbox_lost',
        'the server was restarted, and the sandbox that it ran in is gone: it changes nothing, so call it again',
      )
    : new ToolError(
        'unknown_outcome',
        'the server was restarted, and nobody knows how it ended: look at what it did before you repeat it',
      )
}

/** Of a call that nobody waits for: its refusal stands on its record. */
async function ignoreRefusal(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof InvocationRefused)) throw error
  }
}

import { errors, ToolError } from '../../domain/errors.ts'
import { newId } from '../../domain/ids.ts'
import type { ApprovalUse, Invocation } from '../../domain/invocation.ts'
import { allowedRoots } from '../../domain/path.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { SandboxLost } from '../../sandbox/sandbox-errors.ts'
import type { Store } from '../../store/store.ts'
import { artifactView } from './artifact-view.ts'
import { about, type GateCall, type Outcome } from './gate-call.ts'
import type { InvocationServiceDependencies } from './invocation-dependencies.ts'
import type { InvocationEnding } from './invocation-ending.ts'
import type { InvocationLog } from './invocation-log.ts'
import { type InvocationRunner, untilAborted } from './invocation-runner.ts'
import { type OpenCalls, stopping } from './open-calls.ts'
import type { PolicyGate } from './policy-gate.ts'
import { stateDigest } from './state-digest.ts'
import { makeToolSandbox } from './tool-sandbox.ts'

export interface InvocationExecutionParts {
  calls: OpenCalls
  runner: InvocationRunner
  ending: InvocationEnding
  policy: PolicyGate
}

/** From consent to the end of a run. */
export class InvocationExecution {
  readonly #deps: InvocationServiceDependencies
  readonly #calls: OpenCalls
  readonly #runner: InvocationRunner
  readonly #ending: InvocationEnding
  readonly #policy: PolicyGate

  constructor(deps: InvocationServiceDependencies, { calls, runner, ending, policy }: InvocationExecutionParts) {
    this.#deps = deps
    this.#calls = calls
    this.#runner = runner
    this.#ending = ending
    this.#policy = policy
  }

  /** The decision and, for a requested approval, its single use are stored before anything runs. */
  async start(call: GateCall, approval: ApprovalUse | null): Promise<void> {
    call.live.signal.throwIfAborted()
    const record: Invocation = { ...call.record, status: 'running', approval }
    await this.#deps.eventLog.transaction(async (tx, emit) => {
      if (approval?.kind === 'requested') {
        const used = await tx.approvals.decide(approval.approval_id as string, 'approved', { status: 'used' })
        if (!used) throw await whyNotUsed(tx, approval.approval_id as string)
        await emit(record.session_id, 'approval.used', record.actor, { ...about(record), approval_id: approval.approval_id })
      }
      await tx.openInvocations.update(record.id, { record, call: call.stored })
      await emit(record.session_id, 'invocation.started', record.actor, { ...about(record), decision: record.decision, approval })
    })
    call.record = record
  }

  /** Runs, and ends. Rejects with `InvocationRefused` for what host refused and for faults of ours, or when the server stops. */
  async run(call: GateCall): Promise<Invocation> {
    const { session, tool, args, live, performance, resumed } = call
    const log = this.#ending.log(call, resumed ? await this.#deps.store.logs.list(live.id) : [])
    call.ranFrom = resumed ? Date.parse(call.record.started_at) : this.#now()
    const work = async () => {
      const wrote = resumed ? await hasWritten(resumed.sandbox, live.id) : false
      try {
        return await this.#runner.run({
          invocationId: live.id,
          session,
          tool,
          args,
          performance,
          signal: live.signal,
          stopped: this.#calls.stopped,
          log,
          redactor: call.redactor,
          catalog: this.#policy.catalogView(session),
          policy: this.#policy.policyView(call.caller, session, call.redactor),
          artifacts: artifactView(this.#deps, session.id),
          resumed,
          onSandbox: async (generation, deadline) => {
            call.stored = { ...call.stored, generation, deadline: new Date(deadline).toISOString() }
            await this.#deps.store.openInvocations.update(live.id, { call: call.stored })
          },
          onActsOutside: async () => {
            call.stored = { ...call.stored, resumable: false }
            await this.#deps.store.openInvocations.update(live.id, { call: call.stored })
          },
        })
      } catch (error) {
        throw wrote ? unsure(error) : error
      }
    }
    const outcome = await this.whileServing(work(), log)
    return await this.#ending.conclude(
      call,
      log,
      resumed && tool.metadata.idempotency !== 'guaranteed' ? withoutLoss(outcome) : outcome,
    )
  }

  /** Looks at what the call would change. Its commands have names of their own, new each time: an old answer would be no answer. */
  async stateDigest(call: GateCall): Promise<string | null> {
    const { sandboxes, maxOutputBytes } = this.#deps
    if (this.#calls.stopped.aborted) throw stopping()
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
        redactor: call.redactor,
        onOutput: () => undefined,
        onOutputCut: () => undefined,
        remembersAnswers: false,
        now: () => this.#now(),
      })
      const digest = await stateDigest(call.tool, call.args, { sandbox: toolSandbox, session: call.session })
      await sandbox.acknowledge(invocationId)
      return digest
    } catch (error) {
      const cause = error instanceof ToolError ? error.cause : error
      if (cause instanceof SandboxLost) await sandboxes.lost(call.session.id, generation, cause.message)
      throw error
    }
  }

  /** What became of it, as a value. Rejects only when the server stops: then the call is the next server's. */
  async whileServing<T>(work: Promise<T>, log?: InvocationLog): Promise<Outcome<T>> {
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

  #now(): number {
    return this.#deps.clock().getTime()
  }
}

/** Somebody else runs this call already: it is theirs to end. */
export class AlreadyUsed extends Error {
  constructor() {
    super('the approval is used already')
    this.name = 'AlreadyUsed'
  }
}

async function whyNotUsed(tx: Store, approvalId: string): Promise<Error> {
  const approval = await tx.approvals.get(approvalId)
  if (approval?.status === 'used') return new AlreadyUsed()
  return errors.policyDenied('approval_revoked', 'the approval was taken back before it was used')
}

async function hasWritten(sandbox: Sandbox, invocationId: string): Promise<boolean> {
  const outcomes = await sandbox.outcomes(invocationId)
  return outcomes.some(({ kind, state }) => kind === 'file' && state === 'done')
}

/** A handler that reads what it writes cannot be replayed past its own write: nobody knows how it would have ended. */
function unsure(error: unknown): unknown {
  if (!(error instanceof ToolError) || error.code === 'cancelled') return error
  const message = `the server was restarted while the call ran, and it had changed files: look before you repeat it (${error.message})`
  return new ToolError('unknown_outcome', message, { cause: error })
}

/** A resumed call may have done anything before its sandbox was lost. */
function withoutLoss<T>(outcome: Outcome<T>): Outcome<T> {
  const lost =
    'error' in outcome &&
    (outcome.error instanceof SandboxLost || (outcome.error instanceof ToolError && outcome.error.code === 'sandbox_lost'))
  return lost ? { error: unknownOutcome(false) } : outcome
}

/** @param guaranteed the tool changes nothing, so that calling it again does no harm */
export function unknownOutcome(guaranteed: boolean): ToolError {
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

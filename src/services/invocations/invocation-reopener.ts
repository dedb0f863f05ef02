import type { Approval } from '../../domain/approval.ts'
import { type CloisterError, errors, ToolError } from '../../domain/errors.ts'
import { type Invocation, InvocationRefused } from '../../domain/invocation.ts'
import { type Caller, SYSTEM } from '../../domain/principal.ts'
import { admits } from '../../domain/session.ts'
import type { OpenInvocation } from '../../store/store.ts'
import { inCallSpan } from './call-span.ts'
import { about, describeIssues, type GateCall } from './gate-call.ts'
import type { InvocationServiceDependencies } from './invocation-dependencies.ts'
import { type InvocationEnding, NotRecorded } from './invocation-ending.ts'
import { AlreadyUsed, type InvocationExecution, unknownOutcome } from './invocation-execution.ts'
import { examineArgs, isOpen } from './invocation-record.ts'
import { untilAborted } from './invocation-runner.ts'
import { cancelled, type LiveCall, type OpenCalls } from './open-calls.ts'
import { approversOf, type PolicyGate } from './policy-gate.ts'

export interface InvocationReopenerParts {
  calls: OpenCalls
  ending: InvocationEnding
  execution: InvocationExecution
  policy: PolicyGate
  /** The gate from the arguments on. */
  evaluate: (call: GateCall) => Promise<Invocation>
}

/** Calls that nobody waits for in this process: decided approvals, what a restart left open, ends from outside. */
export class InvocationReopener {
  readonly #deps: InvocationServiceDependencies
  readonly #calls: OpenCalls
  readonly #ending: InvocationEnding
  readonly #execution: InvocationExecution
  readonly #policy: PolicyGate
  readonly #evaluate: (call: GateCall) => Promise<Invocation>

  constructor(deps: InvocationServiceDependencies, { calls, ending, execution, policy, evaluate }: InvocationReopenerParts) {
    this.#deps = deps
    this.#calls = calls
    this.#ending = ending
    this.#execution = execution
    this.#policy = policy
    this.#evaluate = evaluate
  }

  async approvalDecided(approval: Approval): Promise<void> {
    // Whoever is quick decides before the call that asked is back.
    await this.#calls.get(approval.invocation_id)?.done
    const open = await this.#deps.store.openInvocations.get(approval.invocation_id)
    if (open?.record.status !== 'pending_approval') return
    if (open.call.finished) await this.#ending.finishStored(open.call.finished, open.call)
    else if (approval.status === 'approved') await this.#runApproved(open, approval)
    else if (approval.status === 'denied' || approval.status === 'expired' || approval.status === 'revoked')
      await this.#denyApproval(open, approval)
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

  async #runApproved(open: OpenInvocation, approval: Approval): Promise<void> {
    const live = this.#calls.enlist(open.record.id)
    if (!live) return
    let handedOver = false
    try {
      const call = await this.#reopened(live, open)
      if (!call) return
      try {
        if (call.issues.length > 0)
          throw errors.invalidArgument(`the arguments are no longer valid: ${describeIssues(call.issues)}`, call.issues)
        const decision = await this.#policy.decide(call)
        const digest = await this.#execution.whileServing(untilAborted(this.#execution.stateDigest(call), live.signal))
        if ('error' in digest) throw digest.error
        if (approval.policy_version !== decision.policy_version)
          throw stale('the policy is another one than when it was requested')
        // A policy server can change its mind without another version.
        if (JSON.stringify(approversOf(decision) ?? approval.approvers) !== JSON.stringify(approval.approvers))
          throw stale('other people have to approve it than when it was requested')
        if (approval.state_digest !== digest.value) throw stale('what it would change was changed since it was requested')
        await this.#execution.start(call, { kind: 'requested', by: approval.decided_by, approval_id: approval.id })
      } catch (error) {
        if (this.#calls.stopped.aborted) throw error
        if (error instanceof AlreadyUsed) return
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
  async #voidApproval(call: GateCall, approval: Approval, error: unknown): Promise<void> {
    const reason = call.redactor.text(error instanceof Error ? error.message : 'it could not be run')
    await ignoreRefusal(
      this.#ending.fail(call, error, async (tx, emit) => {
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
      await ignoreRefusal(this.#ending.fail(call, errors.policyDenied(rule, reason)))
    } finally {
      this.#calls.letGo(live)
    }
  }

  /** A call from its row. Null: it cannot go on and was ended (its session is closed, its tool is gone). */
  async #reopened(live: LiveCall, open: OpenInvocation): Promise<GateCall | null> {
    const { record, call: stored } = open
    const { store, sandboxes, catalog } = this.#deps
    const session = await store.sessions.get(record.session_id)
    const refusal = session ? admits(session, 'invoke') : errors.notFound('session')
    const tool = catalog.get(record.tool_name)
    if (!session || !tool || (refusal && session.state !== 'initializing')) {
      await this.#ending.endRow(
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
    const { store, invocationStore, sandboxes } = this.#deps
    const finished = (await invocationStore.get(record.id)) ?? stored.finished
    if (finished && !isOpen(finished)) {
      await this.#ending.finishStored(finished, stored)
      return
    }
    if (record.status === 'pending_approval') {
      const approval = await store.approvals.ofInvocation(record.id)
      // Looking whether it is stale may start a sandbox, which takes its time.
      if (approval) this.#unattended(record.id, this.approvalDecided(approval))
      else await this.#ending.endRow(open, new ToolError('unknown_outcome', 'its approval is not on record'))
      return
    }
    const live = this.#calls.enlist(record.id)
    if (!live) return
    let handedOver = false
    try {
      if (stored.resumable === false) {
        await this.#ending.endRow(open, unknownOutcome(false))
        return
      }
      const call = await this.#reopened(live, open)
      if (!call) return
      if (record.decision !== null && stored.generation !== null) {
        const current = sandboxes.current(record.session_id)
        if (current?.generation !== stored.generation) {
          await this.#ending.fail(call, unknownOutcome(call.tool.metadata.idempotency === 'guaranteed'))
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
  #background(call: GateCall, release: () => void): void {
    const work = inCallSpan(call, () => this.#execution.run(call)).catch((error: unknown) => {
      if (error instanceof InvocationRefused || error instanceof NotRecorded || this.#calls.stopped.aborted) throw error
      return this.#ending.fail(call, error)
    })
    this.#inBackground(call.live, work.finally(release))
  }

  #inBackground(live: LiveCall, work: Promise<unknown>): void {
    this.#unattended(
      live.id,
      work.finally(() => this.#calls.letGo(live)),
    )
  }

  #unattended(invocationId: string, work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (error instanceof InvocationRefused || this.#calls.stopped.aborted) return
      this.#deps.logger.error({ err: error, invocation_id: invocationId }, 'how an invocation ended could not be recorded')
    })
  }

  /** Cancels whatever an open invocation does, and resolves when it is finished. */
  async end(id: string, why: ToolError): Promise<void> {
    const live = this.#calls.get(id)
    live?.cancel(why)
    await live?.done
    const open = await this.#deps.store.openInvocations.get(id)
    if (!open || this.#calls.stopped.aborted) return
    // It is over already, and only its record waits: that is how it ended.
    if (open.call.finished) await this.#ending.finishStored(open.call.finished, open.call)
    else await this.#ending.endRow(open, why)
  }
}

function stale(reason: string): CloisterError {
  return errors.policyDenied('approval_stale', `the approval is stale: ${reason}. Ask again`)
}

/** Of a call that nobody waits for: its refusal stands on its record. */
async function ignoreRefusal(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof InvocationRefused)) throw error
  }
}

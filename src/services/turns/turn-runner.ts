import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Instructions } from '../../agent/context.ts'
import type { ResolvedModel } from '../../agent/language-model.ts'
import type { Models } from '../../agent/model-provider.ts'
import type { RetryPolicy } from '../../agent/retry.ts'
import { runTurn } from '../../agent/turn.ts'
import { isDone, type TurnStep, turnStepSchema } from '../../agent/turn-step.ts'
import type { ModelCallRecord, Progress, ToolCall, TurnOutcome, TurnTask, Wait } from '../../agent/turn-task.ts'
import { type Budgets, type Spent, spentSince, stricterBudget, unknownPrice } from '../../domain/budget.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import { CloisterError, errors } from '../../domain/errors.ts'
import { correlationIdOfCall, type Invocation } from '../../domain/invocation.ts'
import { actorOf, type Caller } from '../../domain/principal.ts'
import type { Redactor } from '../../domain/redaction.ts'
import type { Session } from '../../domain/session.ts'
import type { MessagePolicy, MessageRefusal } from '../../policy/message-policy.ts'
import type { OpenTurn, Store } from '../../store/store.ts'
import type { Invocations, Sandboxes } from '../contracts.ts'
import type { EventLog } from '../event-log.ts'
import { readInstructions } from './instructions-reader.ts'
import { TurnHalt } from './turn-halt.ts'
import { compactedEvent, history, stepEvent } from './turn-history.ts'

/** Bytes of the instructions that stand in `model.called`. */
const RECORDED_INSTRUCTIONS = 4096
/** A halted turn waits so long, in ms, for its running call to end after it was cancelled. */
const CANCEL_PATIENCE_MS = 15_000

export interface TurnRunnerDependencies {
  store: Store
  eventLog: EventLog
  invocations: Pick<Invocations, 'invoke' | 'settled' | 'cancel' | 'tools'>
  sandboxes: Pick<Sandboxes, 'acquire' | 'lost' | 'redactor'>
  models: Models
  messagePolicy: MessagePolicy
  /** What any agent may use at most. */
  budgets: Budgets
  /** A model that sends nothing for so long is given up. */
  stallMs: number
  retry: RetryPolicy
  clock: () => Date
  logger: Pick<Logger, 'warn' | 'error'>
}

/** What `message.denied` records: what was not said is known by its digest, and stands nowhere. */
export function messageDenied(
  kind: 'message' | 'answer',
  text: string,
  refusal: MessageRefusal,
  turnId?: string,
): Record<string, unknown> {
  return { kind, ...(turnId && { turn_id: turnId }), ...refusal, characters: text.length, sha256: sha256(text) }
}

function sessionSpent({ usage }: Session): Spent {
  const { steps, input_tokens, output_tokens, cost_usd, seconds } = usage
  return { steps, tokens: input_tokens + output_tokens, cost_usd, seconds }
}

/** The loop acts as this: it may invoke tools in its one session, and nothing else. */
export function agentCaller(session: Session): Caller {
  return { kind: 'agent', tenant_id: session.principal.tenant_id, actor_id: session.principal.actor_id, session_id: session.id }
}

export function stepsOf(turn: OpenTurn): TurnStep[] {
  return turn.transcript.map((step) => turnStepSchema.parse(step))
}

/** Runs one open turn from where its transcript ends, keeping every step in the store and the log before the next. */
export class TurnRunner {
  readonly #deps: TurnRunnerDependencies

  constructor(deps: TurnRunnerDependencies) {
    this.#deps = deps
  }

  /** Rejects with the TurnHalt that aborted `signal`, and with what neither the model nor the gate answers for. */
  async run(session: Session, turn: OpenTurn, resumed: boolean, signal: AbortSignal): Promise<TurnOutcome> {
    const { store, eventLog, invocations, sandboxes, models } = this.#deps
    const model = models.resolve(session.model)
    const fallback = model.fallback === null ? null : models.resolve(model.fallback)
    const budgets = this.#budgets(session, fallback ? [model, fallback] : [model])
    const [messages, tools, redactor] = await Promise.all([
      store.messages.all(session.id),
      invocations.tools(agentCaller(session), session.id, {}),
      sandboxes.redactor(session.id),
    ])
    const message = messages.find((candidate) => candidate.role === 'user' && candidate.turn_id === turn.id)
    if (!message) throw errors.internal(`turn ${turn.id} has no message`)
    const { past, compaction } = await history(eventLog, session.id, messages, turn.id)
    const deltas = new DeltaStream(eventLog, session.id, turn.id, redactor, resumed)
    const transcript = new Map(stepsOf(turn).map((step) => [step.step, step]))
    let spent = turn.spent
    const task: TurnTask = {
      turn_id: turn.id,
      model,
      fallback,
      tools,
      workspace: {
        allowed_paths: session.allowed_paths,
        network: session.network,
        secret_names: session.secret_names,
        limits: session.limits,
        budget: budgets.turn,
      },
      past,
      user: message.content,
      steps: [...transcript.values()],
      compaction,
      readInstructions: () => orHalt(readInstructions(sandboxes, session, redactor), signal),
      invoke: (call) => this.#invoke(session, turn, call, signal),
      persist: async (progress) => {
        if (progress.kind === 'answered') deltas.flush()
        await this.#persist(session, turn, transcript, progress, spentSince(spent, progress.spent))
        spent = progress.spent
      },
      onDelta: (delta) => ('text' in delta ? deltas.text(delta.step, delta.text) : deltas.reset(delta.step)),
      screen: this.#screen(session),
      redact: (value) => redactor.value(value),
      signal,
      budgets,
      spent: { turn: turn.spent, session: sessionSpent(session) },
      stall_ms: this.#deps.stallMs,
      retry: this.#deps.retry,
      now: this.#deps.clock,
      sleep: (ms, abort) => orHalt(delay(ms, undefined, { signal: abort }), abort),
    }
    return runTurn(task)
  }

  /** Cancels what a turn still has running or waiting. What ended meanwhile is as good as cancelled. */
  async cancelOpen(sessionId: string, turnId: string, by: Caller): Promise<void> {
    const { store, invocations, logger } = this.#deps
    for (const open of await store.openInvocations.ofSession(sessionId)) {
      if (open.record.turn_id !== turnId) continue
      await invocations.cancel(by, open.record.id).catch((error: unknown) => {
        if (!(error instanceof CloisterError) || error.status >= 500)
          logger.warn(
            { err: error, session_id: sessionId, invocation_id: open.record.id },
            'a call of a halted turn could not be cancelled',
          )
      })
    }
  }

  /** Undefined where no policy is about what is said: then text may be shown as it comes. */
  #screen(session: Session): TurnTask['screen'] {
    const { messagePolicy } = this.#deps
    if (!messagePolicy.inForce) return undefined
    return (text, model) =>
      text.trim() === '' ? null : messagePolicy.refuse({ kind: 'answer', caller: agentCaller(session), session, model, text })
  }

  /** @throws CloisterError when a budget in money cannot be held */
  #budgets(session: Session, models: readonly ResolvedModel[]): Budgets {
    const budgets = {
      turn: stricterBudget(this.#deps.budgets.turn, session.budgets.turn),
      session: stricterBudget(this.#deps.budgets.session, session.budgets.session),
    }
    const unpriced = models.find(({ price }) => price === null)
    if (unpriced && (budgets.turn.cost_usd !== null || budgets.session.cost_usd !== null))
      throw errors.invalidArgument(unknownPrice(unpriced.label))
    return budgets
  }

  /** `used`: since the progress before. */
  async #persist(
    session: Session,
    turn: OpenTurn,
    transcript: Map<number, TurnStep>,
    progress: Progress,
    used: Spent,
  ): Promise<void> {
    const { eventLog, clock } = this.#deps
    const actor = actorOf(agentCaller(session))
    await eventLog.transaction(async (tx, emit) => {
      // A session that was closed meanwhile is not acted in any more, whoever forgot to say so.
      const now = await tx.sessions.get(session.id)
      if (now?.state !== 'busy') throw new TurnHalt('abandon')
      const { spent } = progress
      const call = 'call' in progress ? progress.call : null
      if (call) await emit(session.id, 'model.called', actor, modelCalled(turn.id, call))
      const { input_tokens = 0, output_tokens = 0 } = call?.usage ?? {}
      const { steps: answers, cost_usd, seconds } = used
      const usage = { input_tokens, output_tokens, steps: answers, cost_usd, seconds }
      await tx.sessions.addUsage(session.id, usage, clock().toISOString())
      if (progress.kind === 'withheld') {
        const { text, refusal } = progress
        await emit(session.id, 'message.denied', actor, messageDenied('answer', text, refusal, turn.id))
      }
      if (progress.kind === 'compacted')
        await emit(session.id, 'context.compacted', actor, compactedEvent(turn.id, progress.compaction))
      if (!('step' in progress)) return tx.turns.update(turn.id, { spent })
      const steps = [...new Map(transcript).set(progress.step.step, progress.step).values()]
      await tx.turns.update(turn.id, { steps: steps.length, transcript: steps, spent })
      const said = isDone(progress.step) ? 'turn.step' : progress.kind === 'answered' ? 'turn.answered' : null
      if (said) await emit(session.id, said, actor, stepEvent(turn.id, progress.step))
    })
    if ('step' in progress) transcript.set(progress.step.step, progress.step)
  }

  /** One call through the gate, to its end: also over an approval, and over a restart, by the same correlation id. */
  async #invoke(
    session: Session,
    turn: OpenTurn,
    call: ToolCall,
    signal: AbortSignal,
  ): Promise<{ invocation: Invocation; waited: Wait | null }> {
    const { invocations, store, clock } = this.#deps
    const toTheEnd = async () => {
      const invocation = await invocations.invoke(agentCaller(session), {
        session_id: session.id,
        tool_name: call.tool_name,
        args: call.args,
        request_approval: true,
        correlation_id: correlationIdOfCall(turn.id, call.step, call.index),
        turn_id: turn.id,
      })
      if (invocation.status !== 'pending_approval' && invocation.status !== 'running') return { invocation, waited: null }
      const from = clock().getTime()
      const settled = await invocations.settled(invocation.id)
      if (invocation.status !== 'pending_approval') return { invocation: settled, waited: null }
      // What the call took after that is time of the turn again.
      const decided = (await store.approvals.ofInvocation(invocation.id))?.decided_at
      return { invocation: settled, waited: { from, to: decided ? Date.parse(decided) : clock().getTime() } }
    }
    const work = toTheEnd()
    try {
      return await orHalt(work, signal)
    } catch (error) {
      if (!signal.aborted) throw error
      const ended = await this.#endCall(session.id, turn.id, work, signal.reason)
      if (ended) return ended
      throw error
    }
  }

  /**
   * After a halt: what runs is cancelled until it is over. Resolves with what became of it, null if that is not known.
   * A server that stops leaves it running instead.
   */
  async #endCall<T>(sessionId: string, turnId: string, work: Promise<T>, reason: unknown): Promise<T | null> {
    if (!(reason instanceof TurnHalt) || reason.kind === 'stop') return null
    // A call that failed has its reason on its own record; the halt is what the turn ends with.
    const outcome = work.then(
      (result) => ({ result }),
      () => ({ result: null }),
    )
    // Again and again: the call may not have had its record yet when it was first looked for.
    for (let waited = 0, pause = 10; waited < CANCEL_PATIENCE_MS; waited += pause, pause = Math.min(pause * 2, 500)) {
      await this.cancelOpen(sessionId, turnId, reason.by)
      const over = await Promise.race([outcome, delay(pause, null, { ref: false })])
      if (over) return over.result
    }
    return null
  }
}

function modelCalled(turnId: string, call: ModelCallRecord): Record<string, unknown> {
  const { instructions, ...rest } = call
  return { turn_id: turnId, ...rest, instructions: instructions && recordedInstructions(instructions) }
}

function recordedInstructions({ path, text, sha256, note }: Instructions): Record<string, unknown> {
  const bytes = Buffer.from(text ?? '')
  const truncated = bytes.length > RECORDED_INSTRUCTIONS
  const shown = truncated ? new TextDecoder().decode(bytes.subarray(0, RECORDED_INSTRUCTIONS), { stream: true }) : text
  return { path, sha256, text: shown, truncated, note }
}

/** Text as it comes, without secrets: also one whose value arrives in two pieces. */
class DeltaStream {
  readonly #eventLog: EventLog
  readonly #sessionId: string
  readonly #turnId: string
  readonly #redactor: Redactor
  #stream: ReturnType<Redactor['stream']>
  #step = 0
  /** Has a listener been given text of this step that may be void? An earlier server may have streamed some. */
  #dirty: boolean

  constructor(eventLog: EventLog, sessionId: string, turnId: string, redactor: Redactor, resumed: boolean) {
    this.#eventLog = eventLog
    this.#sessionId = sessionId
    this.#turnId = turnId
    this.#redactor = redactor
    this.#stream = redactor.stream()
    this.#dirty = resumed
  }

  reset(step: number): void {
    const void_ = this.#dirty && (step === this.#step || this.#step === 0)
    if (void_) this.#eventLog.delta(this.#sessionId, 'message.delta', { turn_id: this.#turnId, step, reset: true })
    this.#stream = this.#redactor.stream()
    this.#step = step
    this.#dirty = false
  }

  text(step: number, text: string): void {
    this.#send(step, this.#stream.push(text))
  }

  /** The answer is whole: what was held back goes out. */
  flush(): void {
    this.#send(this.#step, this.#stream.end())
  }

  #send(step: number, text: string): void {
    if (text === '') return
    this.#dirty = true
    this.#eventLog.delta(this.#sessionId, 'message.delta', { turn_id: this.#turnId, step, text })
  }
}

/** Rejects with the signal's reason as soon as it is aborted, whatever `work` does. */
function orHalt<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const halt = () => reject(signal.reason)
    if (signal.aborted) halt()
    else signal.addEventListener('abort', halt, { once: true })
    work
      .then(resolve, (error: unknown) => reject(signal.aborted ? signal.reason : error))
      .finally(() => signal.removeEventListener('abort', halt))
  })
}

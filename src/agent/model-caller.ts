import { ToolNames } from '../domain/tool-names.ts'
import { answeredStep } from './answered-step.ts'
import {
  COMPACT_ABOVE,
  COMPACT_TO,
  type Compaction,
  type CompactionRecord,
  compacted,
  type Position,
  positionBefore,
  type Timeline,
} from './compaction.ts'
import { buildPrompt, type Instructions, modelTools, systemPrompt } from './context.ts'
import type { ModelTool, Prompt, ResolvedModel } from './language-model.ts'
import { callModel, type ModelAnswer } from './model-call.ts'
import { ModelFailure } from './model-failure.ts'
import { inModelSpan } from './model-span.ts'
import { PromptSize } from './prompt-size.ts'
import { retryDelay } from './retry.ts'
import { summaryPrompt } from './summary.ts'
import { costOf, type TurnMeter } from './turn-meter.ts'
import type { TurnStep } from './turn-step.ts'
import type { ModelCallRecord, TurnOutcome, TurnTask } from './turn-task.ts'

const MAX_EMPTY_ANSWERS = 2
const NUDGE = '[Cloister: your last answer was empty. Answer the user, or call a tool.]'
/** Newest steps whose outputs stay whole, and then fewer where that does not do. */
const KEPT_STEPS = [3, 1]

/** Why no more tries are made: the end of the turn, or a call that may succeed when it is made differently. */
class Ended extends Error {
  readonly outcome: TurnOutcome

  constructor(outcome: TurnOutcome) {
    super('the turn ends')
    this.outcome = outcome
  }
}

/** The model calls of one turn: tries, the fallback, and a context that fits the model's window. Keeps what changes from call to call. */
export class ModelCaller {
  readonly #task: TurnTask
  readonly #meter: TurnMeter
  readonly #names: ToolNames
  readonly #tools: ModelTool[]
  #model: ResolvedModel
  #compaction: Compaction
  readonly #size: PromptSize

  constructor(task: TurnTask, meter: TurnMeter) {
    this.#task = task
    this.#meter = meter
    this.#names = new ToolNames(task.tools.map((tool) => tool.name))
    this.#tools = modelTools(task.tools, this.#names)
    this.#size = new PromptSize(this.#tools)
    this.#model = task.model
    this.#compaction = task.compaction
  }

  /** One step: tries until the model answers, or it is settled that it will not. What it did is durable. */
  async nextStep(steps: readonly TurnStep[]): Promise<TurnStep | TurnOutcome> {
    this.#size.calibrate(steps)
    try {
      return await this.#answer(steps)
    } catch (error) {
      if (error instanceof Ended) return error.outcome
      throw error
    }
  }

  #answer(steps: readonly TurnStep[]): Promise<TurnStep> {
    const { persist, onDelta, redact, screen } = this.#task
    const number = steps.length + 1
    let prompt: Prompt = []
    return this.#tries(number, 'answer', {
      prepare: async (empty) => {
        const instructions = await this.#task.readInstructions()
        prompt = await this.#fit(steps, (compaction) => this.#prompt(steps, instructions, compaction, empty > 0))
        onDelta({ step: number, reset: true })
        return { prompt, tools: this.#tools, instructions }
      },
      onText: (text) => (screen ? undefined : onDelta({ step: number, text })),
      onFailure: () => onDelta({ step: number, reset: true }),
      take: async (answer, call) => {
        const options = { step: number, model: this.#model.label, names: this.#names, redact }
        const step = answeredStep(answer, { ...options, prompt_chars: this.#size.characters(prompt) })
        const refusal = screen?.(step.text, this.#model.label) ?? null
        if (refusal) {
          await persist({ kind: 'withheld', call, text: step.text, refusal, spent: this.#meter.spent() })
          const reason = `an answer of the model was withheld by policy: ${refusal.reason}`
          throw new Ended({ status: 'failed', kind: 'policy_denied', reason })
        }
        if (screen && step.text !== '') onDelta({ step: number, text: step.text })
        await persist({ kind: 'answered', step, call, spent: this.#meter.spent() })
        return step
      },
    })
  }

  #prompt(steps: readonly TurnStep[], instructions: Instructions, compaction: Compaction, nudged: boolean): Prompt {
    const { turn_id, past, user, workspace, tools } = this.#task
    const system = systemPrompt(workspace, tools, this.#names, instructions)
    const conversation = { system, turn_id, past, user, steps, compaction, model: this.#model.label }
    return buildPrompt({ ...conversation, ...(nudged ? { nudge: NUDGE } : {}) }, this.#names)
  }

  /**
   * A prompt that fits the model's window. First the outputs of old calls are cut, then the oldest part becomes a summary; each is
   * durable before it counts. Sizes are estimates, by the provider's own last count.
   */
  async #fit(steps: readonly TurnStep[], build: (compaction: Compaction) => Prompt): Promise<Prompt> {
    const window = this.#size.window(this.#model)
    const tokens = (compaction: Compaction) => this.#size.tokens(build(compaction))
    if (tokens(this.#compaction) <= window * COMPACT_ABOVE) return build(this.#compaction)
    const timeline: Timeline = { turn_id: this.#task.turn_id, past: this.#task.past, steps }
    for (const keep of KEPT_STEPS) {
      for (const kind of ['outputs', 'summary'] as const) {
        const since = kind === 'outputs' ? this.#compaction.outputs : (this.#compaction.summary?.through ?? null)
        const through = positionBefore(timeline, keep, since)
        if (!through) continue
        await this.#compact(kind, through, timeline, tokens)
        if (tokens(this.#compaction) <= window * COMPACT_TO) return build(this.#compaction)
      }
    }
    const last = positionBefore(timeline, 0, this.#compaction.outputs)
    if (last && tokens(this.#compaction) > window) await this.#compact('outputs', last, timeline, tokens)
    if (tokens(this.#compaction) <= window) return build(this.#compaction)
    throw new Ended({
      status: 'failed',
      kind: 'context_exceeded',
      reason: `the message and what must be told with it do not fit into the ${this.#model.context_window} tokens of ${this.#model.label}`,
    })
  }

  async #compact(
    kind: CompactionRecord['kind'],
    through: Position,
    timeline: Timeline,
    tokens: (compaction: Compaction) => number,
  ): Promise<void> {
    const before = {
      before_step: timeline.steps.length + 1,
      context_window: this.#model.context_window,
      tokens_before: tokens(this.#compaction),
    }
    const persist = async (text: string | null, call: ModelCallRecord | null) => {
      const next = compacted(this.#compaction, { kind, through, text })
      const compaction = { kind, through, text, ...before, tokens_after: tokens(next) }
      await this.#task.persist({ kind: 'compacted', call, compaction, spent: this.#meter.spent() })
      this.#compaction = next
    }
    if (kind === 'outputs') {
      const cut = tokens(compacted(this.#compaction, { kind, through, text: null }))
      // Where there is nothing to cut, nothing is to be recorded.
      return cut < before.tokens_before ? persist(null, null) : undefined
    }
    const task = { ...timeline, user: this.#task.user, summary: this.#compaction.summary, through }
    const characters = () => this.#size.charactersOf(this.#size.window(this.#model) * COMPACT_TO)
    await this.#tries(before.before_step, 'summary', {
      prepare: async () => ({ prompt: summaryPrompt(task, characters()), tools: [], instructions: null }),
      onText: () => {},
      onFailure: () => {},
      take: (answer, call) => persist(this.#task.redact(answer.text.toWellFormed()), call),
    })
  }

  /** Calls the model until it answers. Every try is durable before the next. @throws Ended when it will not */
  async #tries<T>(
    step: number,
    purpose: ModelCallRecord['purpose'],
    how: {
      prepare: (empty: number) => Promise<{ prompt: Prompt; tools: ModelTool[]; instructions: Instructions | null }>
      onText: (text: string) => void
      onFailure: () => void
      take: (answer: ModelAnswer, call: ModelCallRecord) => Promise<T>
    },
  ): Promise<T> {
    const { signal, stall_ms, now, persist, redact, sleep } = this.#task
    let empty = 0
    for (let attempt = 1, tries = 1; ; attempt++, tries++) {
      const over = this.#meter.remaining() <= 0 ? this.#meter.reached() : null
      if (over) throw new Ended({ status: 'limited', reason: over })
      const { prompt, tools, instructions } = await how.prepare(empty)
      const model = this.#model
      const started = now().getTime()
      const record = (): Omit<ModelCallRecord, 'error'> => ({
        step,
        purpose,
        attempt,
        model: model.label,
        response_model: null,
        usage: null,
        cost_usd: null,
        finish_reason: null,
        latency_ms: now().getTime() - started,
        instructions,
      })
      const deadline = this.#meter.deadline()
      const options = { prompt, tools, signal: AbortSignal.any([signal, deadline.signal]), stall_ms, now, onText: how.onText }
      try {
        const answer = await inModelSpan(model.label, () => callModel(model, options))
        const { response_model, usage, finish_reason } = answer
        const cost_usd = model.price ? costOf(usage, model.price) : null
        this.#meter.add(usage, model.price, purpose === 'answer' ? 1 : 0)
        return await how.take(answer, { ...record(), response_model, usage, cost_usd, finish_reason, error: null })
      } catch (error) {
        const failed = (failure: ModelCallRecord['error']) =>
          persist({ kind: 'model_failed', call: { ...record(), error: failure }, spent: this.#meter.spent() })
        if (error === deadline.signal.reason) {
          const reason = this.#meter.reached() ?? 'its time is over'
          await failed({ kind: 'time_limit', message: reason, retry_in_ms: null, fallback: null })
          throw new Ended({ status: 'limited', reason })
        }
        if (!(error instanceof ModelFailure)) throw error
        how.onFailure()
        if (error.kind === 'empty_answer') empty++
        const message = redact(error.message)
        const delay = error.kind === 'context_exceeded' ? this.#shrink(prompt) : this.#delay(error, tries, empty)
        const fallback = delay === null ? this.#takeFallback(error) : null
        await failed({ kind: error.kind, message, retry_in_ms: delay, fallback })
        if (fallback !== null) tries = 0
        else if (delay !== null) await sleep(delay, signal)
        else
          throw new Ended({ status: 'failed', kind: error.kind, reason: attempt > 1 ? `${message} (${attempt} tries)` : message })
      } finally {
        deadline.clear()
      }
    }
  }

  /** How long to wait for the next try of the same model, in ms; null: there is none. */
  #delay(failure: ModelFailure, tries: number, empty: number): number | null {
    const delay = retryDelay(this.#task.retry, tries, failure)
    return failure.retryable && empty < MAX_EMPTY_ANSWERS && delay !== null && delay < this.#meter.remaining() ? delay : null
  }

  /** At once, with a smaller prompt; null: there is no smaller one. */
  #shrink(prompt: Prompt): 0 | null {
    return this.#size.shrink(prompt, this.#model, COMPACT_TO) ? 0 : null
  }

  /** Goes on with the fallback, and says which it is; null: there is none, or the refusal was the model's own decision. */
  #takeFallback(failure: ModelFailure): string | null {
    const { fallback } = this.#task
    if (!fallback || this.#model === fallback || failure.kind === 'refused') return null
    this.#model = fallback
    this.#size.reset()
    return fallback.label
  }
}

import { CloisterError } from '../domain/errors.ts'
import type { Invocation } from '../domain/invocation.ts'
import type { ToolMetadata } from '../domain/tool.ts'
import { notCalled, renderInvocation, renderRefusal } from './call-result.ts'
import { buildPrompt, type Instructions, modelTools, type PastTurn, systemPrompt, type Workspace } from './context.ts'
import type { ResolvedModel } from './language-model.ts'
import { callModel, type ModelAnswer, type ModelUsage } from './model-call.ts'
import { ModelFailure } from './model-failure.ts'
import { inModelSpan } from './model-span.ts'
import { type RetryPolicy, retryDelay } from './retry.ts'
import { ToolNames } from './tool-names.ts'
import { type CallResult, isDone, type StepCall, type TurnStep } from './turn-step.ts'

/** Calls of one answer that are made; the rest are answered with an error. */
const MAX_CALLS = 32
const MAX_EMPTY_ANSWERS = 2
/** Levels of one call's input. What walks it afterwards walks it recursively. */
const MAX_DEPTH = 100
const MAX_TIMER_MS = 2 ** 31 - 1
const NUDGE = '[Cloister: your last answer was empty. Answer the user, or call a tool.]'

/** One model call, also one that failed: what `model.called` records. */
export interface ModelCallRecord {
  step: number
  /** Counts the tries of this step, from 1. */
  attempt: number
  model: string
  response_model: string | null
  usage: ModelUsage | null
  finish_reason: string | null
  latency_ms: number
  instructions: Instructions
  /** Null: it answered. `retry_in_ms` null: there will be no other try. */
  error: { kind: string; message: string; retry_in_ms: number | null } | null
}

/** What must be durable before the turn goes on. */
export type Progress =
  | { kind: 'model_failed'; call: ModelCallRecord }
  /** The model answered: calls still without results are about to be made. */
  | { kind: 'answered'; call: ModelCallRecord; step: TurnStep }
  /** One more call has its result. */
  | { kind: 'result'; step: TurnStep }

export interface ToolCall {
  step: number
  /** Position in the answer, from 0. With the step it names the call for good, also after a restart. */
  index: number
  tool_name: string
  args: Record<string, unknown>
}

export interface TurnTask {
  model: ResolvedModel
  tools: readonly ToolMetadata[]
  workspace: Workspace
  past: readonly PastTurn[]
  user: string
  /** Empty, or what an earlier server did of this turn. */
  steps: readonly TurnStep[]
  /** Called for every model call, tries included. What it throws ends the turn as it is. */
  readInstructions(): Promise<Instructions>
  /**
   * The gate. Resolves when the call is over, however long a person takes to approve it; `waited_ms` is the time spent waiting for a
   * person. Rejects with CloisterError when the call was refused, which the model is told; anything else ends the turn.
   */
  invoke(call: ToolCall): Promise<{ invocation: Invocation; waited_ms: number }>
  /** Awaited before anything else happens. */
  persist(progress: Progress): Promise<void>
  /** Streams text. `reset`: what was streamed of this step is void, it begins again. */
  onDelta(delta: { step: number; text: string } | { step: number; reset: true }): void
  /** Takes secrets out of what the model wrote. */
  redact<T>(value: T): T
  signal: AbortSignal
  /** Model calls, and seconds of wall time without the time spent waiting for people. After a restart the seconds begin anew. */
  limits: { max_steps: number; max_seconds: number; stall_ms: number }
  retry: RetryPolicy
  now(): Date
  /** Rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export type TurnOutcome =
  /** `note`: what the user should know besides, such as an answer that was cut. */
  | { status: 'completed'; text: string; note: string | null }
  | { status: 'limited'; reason: string }
  | { status: 'failed'; kind: string; reason: string }

/**
 * One turn: model call, its tool calls, model call, until the model answers without calls or a limit is met. Knows the model only as a
 * streamed call and tools only as `invoke`; what it is given decides what is allowed. A model that fails is an outcome, not an
 * exception. Rejects with the signal's reason when aborted, and with whatever `persist`, `readInstructions` or `invoke` threw that is
 * not a refusal; `steps` of the last `persist` is then where to go on.
 */
export async function runTurn(task: TurnTask): Promise<TurnOutcome> {
  const names = new ToolNames(task.tools.map((tool) => tool.name))
  const steps = [...task.steps]
  const clock = new TurnClock(task)
  for (;;) {
    task.signal.throwIfAborted()
    const last = steps.at(-1)
    if (last && !isDone(last)) {
      const done = await runCalls(task, last, clock)
      steps.splice(-1, 1, done)
    } else if (last && last.calls.length === 0) {
      const note = last.finish_reason === 'length' ? "the answer was cut at the model's output limit" : null
      return { status: 'completed', text: last.text, note }
    } else if (steps.length >= task.limits.max_steps) {
      return {
        status: 'limited',
        reason: `the turn was stopped after ${steps.length} model calls, the most that one turn may make`,
      }
    } else {
      const next = await nextStep(task, steps, names, clock)
      if ('status' in next) return next
      steps.push(next)
    }
  }
}

/** One step: tries until the model answers, or it is settled that it will not. */
async function nextStep(task: TurnTask, steps: TurnStep[], names: ToolNames, clock: TurnClock): Promise<TurnStep | TurnOutcome> {
  const number = steps.length + 1
  const tools = modelTools(task.tools, names)
  let empty = 0
  for (let attempt = 1; ; attempt++) {
    if (clock.remaining() <= 0) return clock.exceeded()
    const instructions = await task.readInstructions()
    const system = systemPrompt(task.workspace, task.tools, names, instructions)
    const prompt = buildPrompt(
      { system, past: task.past, user: task.user, steps, model: task.model.label, ...(empty > 0 ? { nudge: NUDGE } : {}) },
      names,
    )
    task.onDelta({ step: number, reset: true })
    const started = task.now().getTime()
    const record = (): Omit<ModelCallRecord, 'error'> => ({
      step: number,
      attempt,
      model: task.model.label,
      response_model: null,
      usage: null,
      finish_reason: null,
      latency_ms: task.now().getTime() - started,
      instructions,
    })
    const deadline = clock.deadline()
    try {
      const answer = await inModelSpan(task.model.label, () =>
        callModel(task.model, {
          prompt,
          tools,
          signal: AbortSignal.any([task.signal, deadline.signal]),
          stall_ms: task.limits.stall_ms,
          now: () => task.now(),
          onText: (text) => task.onDelta({ step: number, text }),
        }),
      )
      const { response_model, usage, finish_reason } = answer
      const step = redactedStep(task, toStep(number, task.model.label, answer, names))
      await task.persist({ kind: 'answered', step, call: { ...record(), response_model, usage, finish_reason, error: null } })
      return step
    } catch (error) {
      if (error === deadline.signal.reason) {
        const outcome = clock.exceeded()
        const timeLimit = { kind: 'time_limit', message: outcome.reason, retry_in_ms: null }
        await task.persist({ kind: 'model_failed', call: { ...record(), error: timeLimit } })
        return outcome
      }
      if (!(error instanceof ModelFailure)) throw error
      task.onDelta({ step: number, reset: true })
      if (error.kind === 'empty_answer') empty++
      const delay = retryDelay(task.retry, attempt, error)
      const again = error.retryable && delay !== null && empty < MAX_EMPTY_ANSWERS && delay < clock.remaining()
      const message = task.redact(error.message)
      await task.persist({
        kind: 'model_failed',
        call: { ...record(), error: { kind: error.kind, message, retry_in_ms: again ? delay : null } },
      })
      if (!again) {
        const tries = attempt > 1 ? ` (${attempt} tries)` : ''
        return { status: 'failed', kind: error.kind, reason: `${message}${tries}` }
      }
      await task.sleep(delay, task.signal)
    } finally {
      deadline.clear()
    }
  }
}

/** Makes the calls of a step that have no result yet, in order. Each result is durable before the next call begins. */
async function runCalls(task: TurnTask, step: TurnStep, clock: TurnClock): Promise<TurnStep> {
  let current = step
  for (const [index, call] of step.calls.entries()) {
    if (call.result) continue
    task.signal.throwIfAborted()
    const { result, invocation_id } = await runCall(task, step, index, call, clock)
    const calls = current.calls.map((other, at) => (at === index ? { ...other, result, invocation_id } : other))
    current = { ...current, calls }
    await task.persist({ kind: 'result', step: current })
  }
  return current
}

async function runCall(
  task: TurnTask,
  step: TurnStep,
  index: number,
  call: StepCall,
  clock: TurnClock,
): Promise<{ result: CallResult; invocation_id: string | null }> {
  const refuse = (code: string, message: string) => ({ result: task.redact(notCalled(code, message)), invocation_id: null })
  if (!task.tools.some((tool) => tool.name === call.tool_name))
    return refuse(
      'not_found',
      `there is no tool ${JSON.stringify(call.tool_name)} in this session: use one of those you were given`,
    )
  if (index >= MAX_CALLS)
    return refuse('rate_limited', `only the first ${MAX_CALLS} calls of an answer are made: send this one again`)
  if (call.args === null) {
    const cut = step.finish_reason === 'length' ? ' Your answer was cut at its length limit: write less in one call.' : ''
    return refuse(
      'invalid_argument',
      `the input is not a JSON object: ${call.malformed?.reason}. Nothing was done; send the call again.${cut}`,
    )
  }
  try {
    const { invocation, waited_ms } = await task.invoke({ step: step.step, index, tool_name: call.tool_name, args: call.args })
    clock.exempt(waited_ms)
    return { result: task.redact(renderInvocation(invocation)), invocation_id: invocation.id }
  } catch (error) {
    // A store that is away is no answer to the model: the turn waits for it and goes on from what is stored.
    if (!(error instanceof CloisterError) || error.code === 'store_unavailable' || task.signal.aborted) throw error
    const refused = error as CloisterError & { invocation?: Invocation }
    return { result: task.redact(renderRefusal(error)), invocation_id: refused.invocation?.id ?? null }
  }
}

function toStep(step: number, model: string, answer: ModelAnswer, names: ToolNames): TurnStep {
  const taken = new Set<string>()
  const calls = answer.calls.map((call, index): StepCall => {
    // Results are tied to calls by this id: an empty or repeated one would tie them wrongly.
    const id = /^[a-zA-Z0-9_-]{1,128}$/.test(call.id) && !taken.has(call.id) ? call.id : `call_${step}_${index}`
    taken.add(id)
    const tool_name = names.fromModel(call.name) ?? call.name.slice(0, 128)
    const parsed = parseInput(call.input)
    return { id, tool_name, ...parsed, invocation_id: null, result: null }
  })
  return {
    step,
    model,
    text: answer.text.toWellFormed(),
    reasoning: answer.reasoning,
    calls,
    finish_reason: answer.finish_reason,
    input_tokens: answer.usage.input_tokens,
    output_tokens: answer.usage.output_tokens,
  }
}

function parseInput(input: string): Pick<StepCall, 'args' | 'malformed'> {
  if (input.trim() === '') return { args: {}, malformed: null }
  const malformed = (reason: string) => ({ args: null, malformed: { input: input.slice(0, 10_000).toWellFormed(), reason } })
  try {
    const value: unknown = JSON.parse(input)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return malformed('it is JSON, but not an object')
    if (isDeeperThan(value, MAX_DEPTH)) return malformed(`it is nested deeper than ${MAX_DEPTH} levels`)
    return { args: value as Record<string, unknown>, malformed: null }
  } catch (error) {
    return malformed((error as SyntaxError).message.slice(0, 300))
  }
}

/** Level by level, not recursively: that is what the depth is measured for. */
function isDeeperThan(value: unknown, limit: number): boolean {
  let level = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
  return false
}

/** Thinking is signed by its provider: what would have to be changed is left out instead. */
function redactedStep(task: TurnTask, step: TurnStep): TurnStep {
  const reasoning = step.reasoning.filter((block) => task.redact(block.text) === block.text)
  return { ...task.redact({ ...step, reasoning: [] }), reasoning }
}

/** Wall time of a turn, without the time spent waiting for people. */
class TurnClock {
  readonly #task: TurnTask
  readonly #started: number
  #exempt = 0

  constructor(task: TurnTask) {
    this.#task = task
    this.#started = task.now().getTime()
  }

  exempt(ms: number): void {
    this.#exempt += ms
  }

  /** In ms; below zero when it is over. */
  remaining(): number {
    return this.#task.limits.max_seconds * 1000 - (this.#task.now().getTime() - this.#started - this.#exempt)
  }

  exceeded(): Extract<TurnOutcome, { status: 'limited' }> {
    return {
      status: 'limited',
      reason: `the turn was stopped after ${this.#task.limits.max_seconds} s, the longest that one turn may take`,
    }
  }

  /** Aborts when the time is over. `clear` must be called. */
  deadline(): { signal: AbortSignal; clear: () => void } {
    const controller = new AbortController()
    const timer = setTimeout(
      () => controller.abort(new Error('the time of the turn is over')),
      Math.min(Math.max(this.remaining(), 0), MAX_TIMER_MS),
    )
    return { signal: controller.signal, clear: () => clearTimeout(timer) }
  }
}

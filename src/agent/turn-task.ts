import type { Budgets, Spent } from '../domain/budget.ts'
import type { Invocation } from '../domain/invocation.ts'
import type { ToolMetadata } from '../domain/tool.ts'
import type { Compaction, CompactionRecord } from './compaction.ts'
import type { Instructions, Workspace } from './context.ts'
import type { ResolvedModel } from './language-model.ts'
import type { ModelUsage } from './model-call.ts'
import type { PastTurn } from './past-turn.ts'
import type { RetryPolicy } from './retry.ts'
import type { TurnStep } from './turn-step.ts'

/** One model call, also one that failed: what `model.called` records. */
export interface ModelCallRecord {
  step: number
  /** `summary`: it replaces the oldest part of the conversation by a summary. */
  purpose: 'answer' | 'summary'
  /** Counts the tries of this step, from 1. */
  attempt: number
  model: string
  response_model: string | null
  usage: ModelUsage | null
  /** US dollars; null: the call failed, or the price of its model is not known. */
  cost_usd: number | null
  finish_reason: string | null
  latency_ms: number
  /** Null for a summary. */
  instructions: Instructions | null
  /** Null: it answered. `retry_in_ms` null: there will be no other try with this model; `fallback`: the one that is tried instead. */
  error: { kind: string; message: string; retry_in_ms: number | null; fallback: string | null } | null
}

/** What must be durable before the turn goes on. `spent`: by the turn, until then. */
export type Progress = { spent: Spent } & (
  | { kind: 'model_failed'; call: ModelCallRecord }
  /** The model answered: calls still without results are about to be made. */
  | { kind: 'answered'; call: ModelCallRecord; step: TurnStep }
  /** One more call has its result. */
  | { kind: 'result'; step: TurnStep }
  /** The model answered what policy does not let it say: nobody sees it. */
  | { kind: 'withheld'; call: ModelCallRecord; text: string; refusal: Withheld }
  /** The model no longer sees all of the conversation. `call`: the one that wrote the summary; null: outputs were cut. */
  | { kind: 'compacted'; call: ModelCallRecord | null; compaction: CompactionRecord }
)

/** Why an answer is not shown. */
export interface Withheld {
  reason: string
  policies: string[]
  policy_version: string
}

export interface ToolCall {
  step: number
  /** Position in the answer, from 0. With the step it names the call for good, also after a restart. */
  index: number
  tool_name: string
  args: Record<string, unknown>
}

/** A time in which a person was waited for, in ms since the epoch, by the clock of the turn. */
export interface Wait {
  from: number
  to: number
}

export interface TurnTask {
  turn_id: string
  model: ResolvedModel
  /** Asked when the model fails for good; null: there is none. */
  fallback: ResolvedModel | null
  tools: readonly ToolMetadata[]
  workspace: Workspace
  past: readonly PastTurn[]
  user: string
  /** Empty, or what an earlier server did of this turn. */
  steps: readonly TurnStep[]
  compaction: Compaction
  /** Called for every model call, tries included. What it throws ends the turn as it is. */
  readInstructions(): Promise<Instructions>
  /**
   * The gate. Resolves when the call is over, however long a person takes to approve it; `waited`: until that person had decided; null:
   * nobody had to. Rejects with CloisterError when the call was refused, which the model is told; anything else ends the turn. Calls of
   * tools that change nothing may come side by side.
   */
  invoke(call: ToolCall): Promise<{ invocation: Invocation; waited: Wait | null }>
  /** Awaited before anything else happens. */
  persist(progress: Progress): Promise<void>
  /** Streams text. `reset`: what was streamed of this step is void, it begins again. */
  onDelta(delta: { step: number; text: string } | { step: number; reset: true }): void
  /**
   * Looks at what the model wrote, without secrets, before anybody sees it; null: it may be said. Absent: nothing is looked at, and text is
   * streamed as it comes.
   */
  screen?: ((text: string, model: string) => Withheld | null) | undefined
  /** Takes secrets out of what the model wrote. */
  redact<T>(value: T): T
  signal: AbortSignal
  budgets: Budgets
  /** Of this turn, by servers before; of the whole session, this turn's included. */
  spent: { turn: Spent; session: Spent }
  /** A model that sends nothing for so long, in ms, is given up. */
  stall_ms: number
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

import type { PastTurn } from './past-turn.ts'
import type { TurnStep } from './turn-step.ts'

/** Up to and including this step of that turn; `step` null: the whole turn, which is over. */
export interface Position {
  turn_id: string
  step: number | null
}

/** How much of a conversation the model no longer sees whole. Made from the log, so that it is the same after a restart. */
export interface Compaction {
  /** Outputs of tools up to here are shown cut. */
  outputs: Position | null
  /** Everything up to here is replaced by the text, which the model wrote of it. */
  summary: { through: Position; text: string } | null
}

export const NOT_COMPACTED: Compaction = Object.freeze({ outputs: null, summary: null })

/** One more compaction, as the log keeps it. Tokens are estimates, by the ratio of the provider's last count. */
export interface CompactionRecord {
  kind: 'outputs' | 'summary'
  through: Position
  /** Of kind `summary`. */
  text: string | null
  /** The step before which it was made. */
  before_step: number
  context_window: number
  tokens_before: number
  tokens_after: number
}

export function compacted(
  compaction: Compaction,
  { kind, through, text }: Pick<CompactionRecord, 'kind' | 'through' | 'text'>,
): Compaction {
  return kind === 'outputs' ? { ...compaction, outputs: through } : { ...compaction, summary: { through, text: text ?? '' } }
}

/** What a compaction may work on: the turns that are over, and the steps of the one at hand. */
export interface Timeline {
  turn_id: string
  past: readonly PastTurn[]
  steps: readonly TurnStep[]
}

/** Shares of the tokens that a prompt may have: above the first it is compacted, below the second that was enough. */
export const COMPACT_ABOVE = 0.8
export const COMPACT_TO = 0.6

/** The place before the newest `keep` steps of the turn at hand, null when nothing is before it that is not before `since`. */
export function positionBefore(timeline: Timeline, keep: number, since: Position | null): Position | null {
  const step = timeline.steps.at(-1 - keep)?.step
  const lastTurn = timeline.past.at(-1)?.turn_id
  const position = step !== undefined ? { turn_id: timeline.turn_id, step } : lastTurn ? { turn_id: lastTurn, step: null } : null
  return position && isBefore(timeline, since, position) ? position : null
}

/** Does the step lie in what the position covers? */
export function covers(
  timeline: Pick<Timeline, 'turn_id' | 'past'>,
  position: Position | null,
  turnId: string,
  step: number,
): boolean {
  return position !== null && !isBefore(timeline, position, { turn_id: turnId, step })
}

/** Is the turn covered as a whole? */
export function coversTurn(timeline: Pick<Timeline, 'turn_id' | 'past'>, position: Position | null, turnId: string): boolean {
  return covers(timeline, position, turnId, Number.POSITIVE_INFINITY)
}

function isBefore(timeline: Pick<Timeline, 'turn_id' | 'past'>, a: Position | null, b: Position): boolean {
  if (a === null) return true
  const [turnA, turnB] = [indexOf(timeline, a.turn_id), indexOf(timeline, b.turn_id)]
  return turnA === turnB ? (a.step ?? Number.POSITIVE_INFINITY) < (b.step ?? Number.POSITIVE_INFINITY) : turnA < turnB
}

function indexOf({ turn_id, past }: Pick<Timeline, 'turn_id' | 'past'>, turnId: string): number {
  return turnId === turn_id ? past.length : past.findIndex((turn) => turn.turn_id === turnId)
}

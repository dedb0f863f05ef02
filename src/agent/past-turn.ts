import type { TurnStep } from './turn-step.ts'

/** A turn that is over, as it is remembered: its tool results are excerpts. */
export interface PastTurn {
  turn_id: string
  user: string
  steps: PastStep[]
  /** What Cloister said about it: that it failed, that it was interrupted. */
  notes: string[]
}
export type PastStep = Pick<TurnStep, 'step' | 'text' | 'calls'>

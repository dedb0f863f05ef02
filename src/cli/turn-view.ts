import type { Approval, Delta, Event, Invocation } from '../client/cloister-client.ts'
import type { ProposedChange } from './diff/proposed-change.ts'
import type { TurnEnd } from './turn-end.ts'

/** A call that began, or waits to. `args` may be cut. */
export type BegunCall = Pick<Invocation, 'id' | 'tool_name' | 'args'>

/** Shows a turn as it happens. */
export interface TurnView {
  /** Everything that is streamed of the turn, before it is shown in any other way. */
  entry(entry: Event | Delta): void
  /** The user's message, of a turn that was not begun here. */
  message(text: string): void
  /** A piece of what the model writes. */
  delta(step: number, text: string): void
  /** What was streamed of this step is void: the model is asked again. */
  reset(step: number): void
  /**
   * The text of a step as it is recorded, null: of the last one. What did not come as deltas is shown now. Comes again when the step is
   * done, and for the last one as the message that it is: nothing is shown twice.
   */
  recorded(step: number | null, text: string): void
  callBegan(call: BegunCall): void
  /** What a running call writes, in pieces that end anywhere. */
  callOutput(invocationId: string, text: string): void
  call(invocation: Invocation): void
  /** What somebody has to decide about, with nothing left out. `change`: what it would change, or why that is not known. */
  approvalAsked(approval: Approval, change: ProposedChange | string | null): void
  note(text: string): void
  problem(text: string): void
  turnEnded(end: TurnEnd): void
}

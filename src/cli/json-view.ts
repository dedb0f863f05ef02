import type { Approval, Delta, Event } from '../client/cloister-client.ts'
import type { Output } from './output.ts'
import type { TurnEnd } from './turn-end.ts'
import type { TurnView } from './turn-view.ts'

/** For programs: what is streamed, one JSON document a line, and at the end how the turn ended. */
export class JsonView implements TurnView {
  readonly #out: Output

  constructor(out: Output) {
    this.#out = out
  }

  entry(entry: Event | Delta): void {
    this.#out.record(entry)
  }

  message(): void {}
  delta(): void {}
  reset(): void {}
  recorded(): void {}
  callBegan(): void {}
  callOutput(): void {}
  call(): void {}

  approvalAsked(approval: Approval): void {
    this.#out.record({ type: 'approval', approval })
  }

  note(text: string): void {
    this.#out.note(text)
  }

  problem(text: string): void {
    this.#out.note(text)
  }

  turnEnded(end: TurnEnd): void {
    this.#out.record({ type: 'turn', ...end })
  }
}

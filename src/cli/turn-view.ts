import type { Approval, Delta, Event, Invocation } from '../client/cloister-client.ts'
import type { TurnEnd } from './follow-turn.ts'
import type { Output } from './output.ts'
import { argsInFull, argsLine, cut, duration } from './render.ts'

/** Shows a turn as it happens. */
export interface TurnView {
  /** Everything that is streamed of the turn, before it is shown in any other way. */
  entry(entry: Event | Delta): void
  delta(step: number, text: string): void
  /** What was streamed of this step is void: the model is asked again. */
  reset(step: number): void
  /** The final answer, where it was not streamed. */
  answer(text: string): void
  call(invocation: Invocation): void
  /** What somebody has to decide about, with nothing left out. */
  approvalAsked(approval: Approval): void
  note(text: string): void
  problem(text: string): void
  turnEnded(end: TurnEnd): void
}

/** For programs: what is streamed, one JSON document a line, and at the end how the turn ended. */
export class JsonView implements TurnView {
  readonly #out: Output

  constructor(out: Output) {
    this.#out = out
  }

  entry(entry: Event | Delta): void {
    this.#out.record(entry)
  }

  delta(): void {}
  reset(): void {}
  answer(): void {}
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

/** Prints a turn for people as it happens: the agent's text as it comes, each call on a line of its own with its outcome. */
export class TextView implements TurnView {
  readonly #out: Output
  /** The cursor stands at the beginning of a line. */
  #atStart = true
  #step = 0
  /** Text of the step that streams now was printed. */
  #printed = false

  constructor(out: Output) {
    this.#out = out
  }

  entry(): void {}

  delta(step: number, text: string): void {
    if (step !== this.#step) this.#freshLine()
    this.#step = step
    if (text === '') return
    this.#out.text(text)
    this.#atStart = text.endsWith('\n')
    this.#printed = true
  }

  reset(step: number): void {
    if (step === this.#step && this.#printed) {
      this.#freshLine()
      this.#out.styledLine([['(the answer broke off; asking again)', 'dim']])
    }
    this.#printed = false
  }

  answer(text: string): void {
    if (!this.#printed) this.delta(this.#step, text)
    this.#freshLine()
  }

  call(invocation: Invocation): void {
    this.#freshLine()
    const args = argsLine(invocation.args)
    const took = invocation.duration_ms === null ? '' : `  ${duration(invocation.duration_ms)}`
    switch (invocation.status) {
      case 'succeeded':
        this.#out.styledLine([['  ✓ ', 'green'], [invocation.tool_name, 'bold'], [` ${args}`], [took, 'dim']])
        break
      case 'failed':
      case 'denied': {
        const error = invocation.error ? `${invocation.error.code}: ${cut(invocation.error.message, 200)}` : invocation.status
        this.#out.styledLine([
          ['  ✗ ', 'red'],
          [invocation.tool_name, 'bold'],
          [` ${args}`],
          [took, 'dim'],
          [`  ${error}`, 'red'],
        ])
        break
      }
      default:
        this.#out.styledLine([
          ['  … ', 'yellow'],
          [invocation.tool_name, 'bold'],
          [` ${args}  ${invocation.status.replaceAll('_', ' ')}`],
        ])
    }
    this.#printed = false
  }

  approvalAsked(approval: Approval): void {
    this.#freshLine()
    this.#out.styledLine([
      ['  ? ', 'yellow'],
      ['the agent asks to call '],
      [approval.tool_name, 'bold'],
      [`  (${approval.id})`, 'dim'],
    ])
    this.#out.line(argsInFull(approval.args).replace(/^/gm, '      '))
  }

  note(text: string): void {
    this.#freshLine()
    this.#out.styledLine([[`  ${text}`, 'dim']])
  }

  problem(text: string): void {
    this.#freshLine()
    this.#out.styledLine([[`  ${text}`, 'red']])
  }

  turnEnded(end: TurnEnd): void {
    this.#freshLine()
    if (end.status === 'failed' || end.status === 'limited')
      this.problem(end.note ?? `The turn ${end.status === 'failed' ? 'failed' : 'was stopped'}.`)
    else if (end.note) this.note(end.note)
    else if (end.status === 'interrupted') this.note('The turn was interrupted.')
    this.#printed = false
    this.#step = 0
  }

  #freshLine(): void {
    if (!this.#atStart) this.#out.text('\n')
    this.#atStart = true
  }
}

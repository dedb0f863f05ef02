import type { Approval, Invocation } from '../client/cloister-client.ts'
import { CallDisplay, type CallNames } from './call-display.ts'
import { diffParts } from './diff/diff-parts.ts'
import type { ProposedChange } from './diff/proposed-change.ts'
import { MarkdownStream } from './markdown/markdown-stream.ts'
import type { Output } from './output.ts'
import { argsInFull } from './render.ts'
import type { TurnEnd, TurnUsage } from './turn-end.ts'
import type { BegunCall, TurnView } from './turn-view.ts'

/** Lines longer than this, in columns, are hard to read. */
const WIDEST = 100

/**
 * Prints a turn for people as it happens: the agent's Markdown block by block on a terminal, as it comes elsewhere; each call on a
 * line with its outcome. What was printed stays: nothing is drawn again, so a slow terminal and one without a cursor are served alike.
 */
export class TextView implements TurnView {
  readonly #out: Output
  readonly #calls: CallDisplay
  readonly #markdown: MarkdownStream | null
  /** What was printed last: a blank line parts the kinds on a terminal. */
  #last: 'text' | 'call' | 'other' = 'other'
  /** The cursor stands at the beginning of a line. */
  #atStart = true
  #step = 0
  /** What of the step was printed. */
  #shown = ''

  constructor(out: Output, names: CallNames) {
    this.#out = out
    this.#calls = new CallDisplay(out, names, () => this.#begin('call'))
    this.#markdown = out.terminal
      ? new MarkdownStream(
          (lines) => {
            for (const line of lines) out.styledLine(line)
          },
          () => Math.min(out.width ?? WIDEST, WIDEST),
        )
      : null
  }

  entry(): void {}

  message(text: string): void {
    this.#begin('other')
    this.#out.styledLine([['> ', 'dim'], [text.replace(/\n/g, '\n  ')]])
  }

  delta(step: number, text: string): void {
    if (step !== this.#step) this.#nextStep(step)
    if (text === '') return
    this.#shown += text
    this.#print(text)
  }

  reset(step: number): void {
    if (step === this.#step && this.#shown !== '') this.note('(the answer broke off; asking again)')
    this.#nextStep(step)
  }

  recorded(step: number | null, text: string): void {
    if (step !== null && step !== this.#step) this.#nextStep(step)
    // What is recorded of a very long answer is cut: all of it was shown then.
    if (this.#shown.length < text.length) {
      const goesOn = text.startsWith(this.#shown)
      if (!goesOn) this.note('(a part of this answer was missed; here it is whole)')
      this.#print(goesOn ? text.slice(this.#shown.length) : text)
      this.#shown = text
    }
    this.#endText()
  }

  callBegan(call: BegunCall): void {
    this.#endText()
    this.#calls.began(call)
  }

  callOutput(invocationId: string, text: string): void {
    this.#calls.output(invocationId, text)
  }

  call(invocation: Invocation): void {
    this.#endText()
    this.#calls.ended(invocation)
  }

  approvalAsked(approval: Approval, change: ProposedChange | string | null): void {
    this.#begin('other')
    this.#out.styledLine([
      ['  ? ', 'yellow'],
      ['the agent asks to call '],
      [approval.tool_name, 'bold'],
      [`  (${approval.id})`, 'dim'],
    ])
    const args = change === null || typeof change === 'string' ? approval.args : change.rest
    if (Object.keys(args).length > 0) this.#out.line(argsInFull(args).replace(/^/gm, '      '))
    if (typeof change === 'string') this.#out.styledLine([[`      (no diff: ${change})`, 'dim']])
    else if (change) for (const line of diffParts(change.diff)) this.#out.styledLine([['      '], ...line])
  }

  note(text: string): void {
    this.#endText()
    this.#out.styledLine([[`  ${text}`, 'dim']])
  }

  problem(text: string): void {
    this.#endText()
    this.#out.styledLine([[`  ${text}`, 'red']])
  }

  turnEnded(end: TurnEnd): void {
    this.#endText()
    if (end.status === 'failed' || end.status === 'limited')
      this.problem(end.note ?? `The turn ${end.status === 'failed' ? 'failed' : 'was stopped'}.`)
    else if (end.note) this.note(end.note)
    else if (end.status === 'interrupted') this.note('The turn was interrupted.')
    if (end.usage && this.#out.terminal) {
      this.#begin('other')
      this.note(usageText(end.usage))
      this.#out.line('')
    }
    this.turnOver()
  }

  /** What comes now is of another turn. */
  turnOver(): void {
    this.#nextStep(0)
    this.#calls.clear()
    this.#last = 'other'
  }

  #nextStep(step: number): void {
    this.#endText()
    this.#step = step
    this.#shown = ''
  }

  #print(text: string): void {
    this.#begin('text')
    if (this.#markdown) {
      this.#markdown.push(text)
      if (this.#markdown.tail !== '') this.#out.transient(this.#markdown.tail)
    } else {
      this.#out.text(text)
      this.#atStart = text.endsWith('\n')
    }
  }

  #begin(what: 'text' | 'call' | 'other'): void {
    if (what !== 'text') this.#endText()
    if (this.#out.terminal && this.#last !== what && (this.#last !== 'other' || what === 'text')) this.#out.line('')
    this.#last = what
  }

  #endText(): void {
    this.#markdown?.end()
    if (!this.#atStart) this.#out.text('\n')
    this.#atStart = true
  }
}

function usageText({ seconds, input_tokens, output_tokens, cost_usd }: TurnUsage): string {
  return [
    ...(seconds === null ? [] : [`${seconds.toFixed(1)} s`]),
    `${input_tokens} tokens in, ${output_tokens} out`,
    ...(!cost_usd ? [] : [`US$ ${cost_usd.toFixed(4)}`]),
  ].join(' · ')
}

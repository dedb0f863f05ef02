import type { Invocation } from '../client/cloister-client.ts'
import { wrap } from './markdown/wrap.ts'
import type { Output, Part } from './output.ts'
import { argsLine, cut, duration } from './render.ts'
import { plainLine } from './terminal-text.ts'
import { cutToWidth, textWidth } from './text-width.ts'
import type { BegunCall } from './turn-view.ts'

/** Lines of a call's output that are shown: the first ones as they come, the last ones when it ended. */
const FIRST_LINES = 3
const LAST_LINES = 2
/** Columns that the duration of a call takes at most, with the spaces around it: lines are cut alike however long calls took. */
const DURATION_WIDTH = 12
/** Columns of a line where there is no terminal. */
const UNSEEN_WIDTH = 200
/** Characters of a line that has not ended yet. */
const LONGEST_LINE = 4096

/** What calls are called. */
export interface CallNames {
  /** Stands at the end of a call's line; may be empty. */
  label(invocationId: string): string
  /** How to see all that a call wrote. */
  how(invocationId: string): string
}

interface Running {
  call: BegunCall
  lines: number
  last: string[]
  rest: string
  /** Its first lines stand on the screen. */
  opened: boolean
}

/**
 * Shows calls: each ends in one line with tool, arguments, outcome and duration; of what it wrote a few lines. Calls may run side by
 * side: what one writes is shown as it comes, the others' when they end.
 */
export class CallDisplay {
  readonly #out: Output
  readonly #names: CallNames
  readonly #beforeLine: () => void
  readonly #running = new Map<string, Running>()
  /** The call whose output is on the screen now. */
  #shown: Running | null = null

  /** @param beforeLine called before a line is printed */
  constructor(out: Output, names: CallNames, beforeLine: () => void) {
    this.#out = out
    this.#names = names
    this.#beforeLine = beforeLine
  }

  began(call: BegunCall): void {
    if (!this.#running.has(call.id)) this.#running.set(call.id, { call, lines: 0, last: [], rest: '', opened: false })
    this.#showNow()
  }

  output(id: string, text: string): void {
    const running = this.#running.get(id)
    if (!running) return
    const lines = (running.rest + text).split('\n')
    running.rest = (lines.pop() ?? '').slice(-LONGEST_LINE)
    for (const line of lines) this.#line(running, line)
    this.#showNow()
  }

  ended(invocation: Invocation): void {
    const running = this.#running.get(invocation.id)
    this.#running.delete(invocation.id)
    if (running && running.rest !== '') this.#line(running, running.rest)
    if (running?.opened) {
      this.#end(running)
      this.#summary(invocation)
    } else {
      this.#summary(invocation)
      if (running && running.lines > 0) this.#excerpt(running.last, running.lines - running.last.length, invocation.id)
      else this.#excerpt(textLines(invocation.output), 0, invocation.id)
    }
    if (this.#shown === running) this.#shown = null
    this.#showNow()
  }

  /** Calls of which no end was heard are forgotten. */
  clear(): void {
    this.#running.clear()
    this.#shown = null
  }

  #line(running: Running, text: string): void {
    // What a progress bar wrote over is not shown.
    const line = text.replace(/\r+$/, '').split('\r').at(-1) ?? ''
    running.lines++
    this.#shown ??= running
    if (this.#shown === running && running.lines <= FIRST_LINES && running.last.length === 0) {
      if (!running.opened)
        this.#print([
          ['  ▸ ', 'dim'],
          [this.#fit(this.#what(running.call), 4), 'dim'],
        ])
      running.opened = true
      this.#outputLine(line)
      return
    }
    running.last.push(line)
    const kept = running.opened ? LAST_LINES : FIRST_LINES + LAST_LINES
    if (running.last.length > kept) running.last.splice(running.opened ? 0 : FIRST_LINES, 1)
  }

  /** The rest of a call whose first lines were shown. */
  #end(running: Running): void {
    const hidden = running.lines - FIRST_LINES - running.last.length
    if (hidden > 0) this.#more(hidden, running.call.id)
    for (const line of running.last) this.#outputLine(line)
  }

  /** @param missing lines that are not among these any more */
  #excerpt(lines: readonly string[], missing: number, id: string): void {
    const hidden = missing + Math.max(0, lines.length - FIRST_LINES - LAST_LINES)
    if (hidden <= 0) {
      for (const line of lines) this.#outputLine(line)
      return
    }
    for (const line of lines.slice(0, FIRST_LINES)) this.#outputLine(line)
    this.#more(hidden, id)
    for (const line of lines.slice(-LAST_LINES)) this.#outputLine(line)
  }

  #outputLine(line: string): void {
    this.#print([
      ['    │ ', 'dim'],
      [this.#fit(line, 6), 'dim'],
    ])
  }

  #more(count: number, id: string): void {
    this.#print([[`    │ … ${count} more ${count === 1 ? 'line' : 'lines'}: ${this.#names.how(id)}`, 'dim']])
  }

  #summary(invocation: Invocation): void {
    const { tool_name, status, duration_ms, error } = invocation
    const label = this.#names.label(invocation.id)
    const took = `${duration_ms === null ? '' : `  ${duration(duration_ms)}`}${label && `  ${label}`}`
    const width = this.#out.width ?? UNSEEN_WIDTH
    const room = width - textWidth(`    ${tool_name}${label}`) - DURATION_WIDTH
    const given = argsLine(invocation.args)
    const args = given && ` ${cutToWidth(plainLine(given), Math.max(20, room - 1))}`
    const line = (mark: Part, end: Part[]) => this.#print([mark, [tool_name, 'bold'], [args], [took, 'dim'], ...end])
    if (status === 'succeeded') line(['  ✓ ', 'green'], [])
    else if (status === 'failed' || status === 'denied') {
      const problem = error ? `${error.code}: ${cut(error.message, 200)}` : status
      const beside = textWidth(args) + textWidth(problem) + 2 <= room || this.#out.width === undefined
      line(['  ✗ ', 'red'], beside ? [[`  ${problem}`, 'red']] : [])
      if (!beside) for (const parts of wrap([[problem, 'red']], width - 4)) this.#print([['    '], ...parts])
    } else line(['  … ', 'yellow'], [[`  ${status.replaceAll('_', ' ')}`]])
  }

  #what({ tool_name, args }: BegunCall): string {
    return `${tool_name} ${argsLine(args)}`.trimEnd()
  }

  #print(parts: readonly Part[]): void {
    this.#beforeLine()
    this.#out.styledLine(parts)
  }

  #fit(text: string, indent: number): string {
    return cutToWidth(plainLine(text), (this.#out.width ?? UNSEEN_WIDTH) - indent)
  }

  #showNow(): void {
    const running = this.#shown ?? [...this.#running.values()].at(-1)
    if (!running) return
    const others = this.#running.size > 1 ? `  (and ${this.#running.size - 1} more)` : ''
    const latest = running.rest || running.last.at(-1)
    this.#out.transient(latest === undefined ? `  … ${this.#what(running.call)}${others}` : `    │ ${running.lines}: ${latest}`)
  }
}

/** The text that a call gave, line by line: the longest of its output's fields that has lines; none: it gave no text. */
function textLines(output: Record<string, unknown> | null): string[] {
  const texts = Object.values(output ?? {}).filter((value) => typeof value === 'string' && value.includes('\n')) as string[]
  const longest = texts.reduce((found, text) => (text.length > found.length ? text : found), '')
  return longest === '' ? [] : longest.replace(/\n+$/, '').split('\n')
}

import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from 'node:readline'
import { Writable } from 'node:stream'
import type { Sink } from '../output.ts'
import { isKept } from './history-file.ts'
import { fold, unfold } from './paste-filter.ts'
import { TerminalInput } from './terminal-input.ts'

export interface ConversationOptions {
  /** Somebody sits at a terminal; else lines come from a pipe. */
  terminal: boolean
  /** The terminal cannot move its cursor. */
  dumb: boolean
  /** Newest first. */
  history: readonly string[]
  /** A line was typed that is to be kept. */
  remember: (entry: string) => void
  /** Words that Tab completes a line to. */
  complete: (line: string) => string[]
  /** A command that was typed while something runs: it is not for later. */
  command: (line: string) => void
  /** For notes to the person. */
  say: (text: string) => void
}

/** Does what was typed begin as a command, and not as a message? */
export const isCommand = (line: string): boolean => /^\s*\/[a-z]/.test(line)

/**
 * The person's side of a conversation. At a terminal a line can be edited, recalled, completed, pasted and go over several lines;
 * Ctrl-C interrupts what runs, and leaves when it is pressed twice at an empty prompt. What is typed while something runs is not shown
 * before the next prompt; messages wait for it, commands do not. From a pipe every line is one message, and its end ends the conversation.
 */
export class Conversation {
  readonly #options: ConversationOptions
  readonly #readline: Interface
  readonly #input: TerminalInput | undefined
  /** Lines that were typed ahead. */
  readonly #lines: string[] = []
  #waiting: ((line: string | null) => void) | undefined
  #asking = false
  #ended = false
  #onInterrupt: (() => void) | undefined
  #onEnd: (() => void) | undefined
  #interrupts = 0

  constructor(options: ConversationOptions) {
    this.#options = options
    const { terminal, dumb, history } = options
    this.#input = terminal && !dumb ? new TerminalInput(process.stdin, process.stderr) : undefined
    this.#readline = createInterface({
      input: this.#input ?? process.stdin,
      ...(terminal && {
        output: this.#screen(),
        terminal: true,
        history: history.map(fold),
        historySize: 1000,
        removeHistoryDuplicates: true,
        completer: (line: string) => [options.complete(line), line],
      }),
    })
    this.#readline.on('line', (line) => this.#line(line))
    this.#readline.on('history', (entries: string[]) => {
      const [entry = ''] = entries
      // Answers to questions are nothing to recall.
      if (this.#asking || !isKept(entry)) entries.shift()
      else options.remember(unfold(entry))
    })
    this.#readline.on('close', () => {
      this.#ended = true
      this.#answer(null)
      if (terminal) this.#onEnd?.()
    })
    // Without a terminal, Ctrl-C arrives as a signal and ends the program as usual.
    if (terminal) this.#readline.on('SIGINT', () => this.#interrupted())
  }

  /** The prompt stands on the last line. */
  get prompting(): boolean {
    return this.#options.terminal && this.#waiting !== undefined
  }

  /** The next message; null when there will be no more. A backslash at the end of a line goes on with the next. */
  async next(prompt: string): Promise<string | null> {
    const lines: string[] = []
    for (;;) {
      const line = this.#lines.shift() ?? (await this.#read(lines.length === 0 ? prompt : '...> '))
      if (line === null) return null
      if (!this.#options.terminal || !line.endsWith('\\')) return [...lines, line].join('\n')
      lines.push(line.slice(0, -1))
    }
  }

  /**
   * An answer to a question that has just been shown. What was typed before is no answer to it, and comes back afterwards. Null when
   * the signal took the question back, or the terminal is gone.
   */
  async ask(prompt: string, signal: AbortSignal): Promise<string | null> {
    const typed = this.#readline.line
    this.#clearLine()
    this.#asking = true
    const withdraw = () => {
      this.#hide()
      this.#clearLine()
      this.#answer(null)
    }
    signal.addEventListener('abort', withdraw, { once: true })
    try {
      return signal.aborted ? null : await this.#read(prompt)
    } finally {
      signal.removeEventListener('abort', withdraw)
      this.#asking = false
      if (typed !== '' && !this.#ended) this.#readline.write(typed)
    }
  }

  /** Ctrl-C calls `interrupt` while `work` runs. Null when the person left before it was done. */
  async during<T>(interrupt: () => void, work: () => Promise<T>): Promise<T | null> {
    this.#onInterrupt = interrupt
    this.#interrupts = 0
    const left = new Promise<null>((resolve) => {
      this.#onEnd = () => resolve(null)
    })
    try {
      return await Promise.race([work(), left])
    } finally {
      this.#onInterrupt = undefined
      this.#onEnd = undefined
      this.#interrupts = 0
    }
  }

  /** A stream whose text appears above the prompt, when there is one. */
  above(stream: NodeJS.WriteStream): Sink {
    return {
      write: (data: string | Uint8Array) => {
        if (!this.prompting) return stream.write(data)
        this.#hide()
        const written = stream.write(data)
        if (stream.isTTY && !data.toString().endsWith('\n')) stream.write('\n')
        this.#readline.prompt(true)
        return written
      },
      once: stream.once.bind(stream),
      isTTY: stream.isTTY,
      get columns() {
        return stream.columns
      },
    } as Sink
  }

  close(): void {
    this.#readline.close()
    this.#input?.close()
  }

  /** What readline shows; nothing while no question is open. */
  #screen(): Writable {
    const screen = new Writable({
      write: (chunk, _encoding, done) => {
        if (this.prompting) process.stderr.write(chunk)
        done()
      },
    })
    Object.defineProperty(screen, 'columns', { get: () => process.stderr.columns })
    process.stderr.on('resize', () => screen.emit('resize'))
    return screen
  }

  #line(line: string): void {
    this.#interrupts = 0
    const text = unfold(line)
    if (this.#waiting) this.#answer(text)
    else if (this.#options.terminal && this.#onInterrupt && isCommand(text)) this.#options.command(text.trim())
    else {
      this.#lines.push(text)
      if (this.#options.terminal && text.trim() !== '') this.#options.say(`(next: ${text})`)
    }
  }

  #read(prompt: string): Promise<string | null> {
    if (this.#ended) return Promise.resolve(null)
    return new Promise((resolve) => {
      this.#waiting = resolve
      if (!this.#options.terminal) return
      this.#readline.setPrompt(prompt)
      this.#readline.prompt(true)
    })
  }

  #answer(line: string | null): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.(line)
  }

  /** Takes the prompt off the screen. */
  #hide(): void {
    if (!this.prompting) return
    if (this.#options.dumb) process.stderr.write('\n')
    else {
      moveCursor(process.stderr, 0, -this.#readline.getCursorPos().rows)
      cursorTo(process.stderr, 0)
      clearScreenDown(process.stderr)
    }
    // readline would go up to where the prompt stood.
    Object.assign(this.#readline, { prevRows: 0 })
  }

  #clearLine(): void {
    if (this.#readline.line === '' || this.#ended) return
    this.#readline.write(null, { ctrl: true, name: 'e' })
    this.#readline.write(null, { ctrl: true, name: 'u' })
  }

  #interrupted(): void {
    if (this.#onInterrupt) {
      this.#interrupts++
      if (this.#interrupts === 1) this.#onInterrupt()
      else if (this.#interrupts === 2) this.#options.say('(still interrupting; Ctrl-C once more to leave)')
      else this.#leave()
      return
    }
    if (this.#readline.line !== '') {
      this.#clearLine()
      return
    }
    this.#interrupts++
    if (this.#interrupts > 1) this.#leave()
    else this.#options.say('(Ctrl-C again, or /exit, to leave)')
  }

  #leave(): void {
    process.exitCode = 130
    this.#readline.close()
  }
}

import { createInterface, type Interface } from 'node:readline'

/**
 * The person's side of a conversation, line by line. On a terminal Ctrl-C means: interrupt while something runs, leave when
 * pressed twice at the prompt. From a pipe every line is one message, and its end ends the conversation.
 */
export class Conversation {
  readonly #terminal: boolean
  readonly #readline: Interface
  readonly #lines: string[] = []
  #waiting: ((line: string | null) => void) | undefined
  #ended = false
  #onInterrupt: (() => void) | undefined
  #interrupts = 0

  constructor(terminal: boolean) {
    this.#terminal = terminal
    this.#readline = createInterface({ input: process.stdin, ...(terminal ? { output: process.stderr, terminal: true } : {}) })
    this.#readline.on('line', (line) => {
      this.#interrupts = 0
      if (this.#waiting) this.#answer(line)
      else this.#lines.push(line)
    })
    this.#readline.on('close', () => {
      this.#ended = true
      if (this.#waiting) this.#answer(null)
    })
    // Without a terminal, Ctrl-C arrives as a signal and ends the program as usual.
    if (terminal) this.#readline.on('SIGINT', () => this.#interrupted())
  }

  /** The next line; null when there will be no more. */
  async next(prompt: string): Promise<string | null> {
    const line = this.#lines.shift()
    if (line !== undefined) return line
    return await this.#read(prompt)
  }

  /** An answer to a question that has just been shown. What was typed before it was shown is no answer to it. */
  async ask(prompt: string): Promise<string> {
    this.#lines.length = 0
    const answer = await this.#read(prompt)
    if (answer === null) throw new Error('the terminal was closed before the question was answered')
    return answer
  }

  /** Ctrl-C calls `interrupt` while `work` runs. */
  async during<T>(interrupt: () => void, work: () => Promise<T>): Promise<T> {
    this.#onInterrupt = interrupt
    this.#interrupts = 0
    try {
      return await work()
    } finally {
      this.#onInterrupt = undefined
      this.#interrupts = 0
    }
  }

  close(): void {
    this.#readline.close()
  }

  #read(prompt: string): Promise<string | null> {
    if (this.#ended) return Promise.resolve(null)
    if (this.#terminal) {
      this.#readline.setPrompt(prompt)
      this.#readline.prompt()
    }
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }

  #answer(line: string | null): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.(line)
  }

  #interrupted(): void {
    this.#interrupts++
    if (this.#interrupts > 1) {
      process.stderr.write('\n')
      process.exitCode = 130
      this.#readline.close()
      if (this.#onInterrupt) process.exit(130)
    } else if (this.#onInterrupt) this.#onInterrupt()
    else {
      process.stderr.write('\n(Ctrl-C again, or /quit, to leave)\n')
      this.#readline.prompt()
    }
  }
}

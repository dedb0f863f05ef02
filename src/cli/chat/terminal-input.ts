import { PassThrough } from 'node:stream'
import { PasteFilter } from './paste-filter.ts'

const ASK_FOR_MARKS = '\u001b[?2004h'
const NO_MARKS = '\u001b[?2004l'
/** Milliseconds in which the rest of a key's sequence arrives; readline itself waits longer. */
const KEY_MS = 50

/** The keys of a terminal, pasted text made one line. readline takes it for the terminal itself. */
export class TerminalInput extends PassThrough {
  readonly isTTY = true
  readonly #terminal: NodeJS.ReadStream
  readonly #screen: NodeJS.WriteStream
  readonly #filter = new PasteFilter()
  #timer: NodeJS.Timeout | undefined

  constructor(terminal: NodeJS.ReadStream, screen: NodeJS.WriteStream) {
    super()
    this.#terminal = terminal
    this.#screen = screen
    terminal.setEncoding('utf8')
    terminal.on('data', this.#onData)
    terminal.once('end', () => this.end())
    screen.write(ASK_FOR_MARKS)
    process.once('exit', this.#unmark)
  }

  setRawMode(raw: boolean): this {
    this.#terminal.setRawMode(raw)
    return this
  }

  /** The terminal is as it was before. */
  close(): void {
    clearTimeout(this.#timer)
    this.#terminal.off('data', this.#onData)
    this.#terminal.pause()
    process.off('exit', this.#unmark)
    this.#unmark()
  }

  readonly #unmark = () => {
    this.#screen.write(NO_MARKS)
  }

  readonly #onData = (chunk: string) => {
    clearTimeout(this.#timer)
    this.write(this.#filter.push(chunk))
    if (this.#filter.undecided) this.#timer = setTimeout(() => this.write(this.#filter.flush()), KEY_MS)
  }
}

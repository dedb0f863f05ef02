import { styleText } from 'node:util'
import { plainJson, plainLine, plainText } from './terminal-text.ts'
import { cutToWidth } from './text-width.ts'

/** As much of a stream as is needed to print on it. */
export type Sink = Pick<NodeJS.WriteStream, 'write' | 'once' | 'isTTY' | 'columns'>

export interface Streams {
  readonly out: Sink
  readonly err: Sink
}

/** Milliseconds between two states of the last line: a slow connection would show old ones. */
const TRANSIENT_MS = 100
const ERASE_LINE = '\r\u001b[2K'

export type Style = Parameters<typeof styleText>[0]

/** Text that is made harmless, then styled. */
export type Part = readonly [text: string, style?: Style]

/** Where a command prints: results on stdout, for people or as JSON, everything else on stderr. All text is made harmless. */
export class Output {
  readonly json: boolean
  readonly #streams: Streams
  readonly #color: boolean
  readonly #canErase: () => boolean
  /** When the last line was written that is to be erased; null: there is none. */
  #transientAt: number | null = null

  /** @param options.canErase the cursor stands on stdout's last line, which may be taken back; absent: never */
  constructor(streams: Streams, options: { json: boolean; color: boolean; canErase?: () => boolean }) {
    this.#streams = streams
    this.json = options.json
    this.#color = options.color
    this.#canErase = options.canErase ?? (() => false)
  }

  /** Results are shown in colour. */
  get color(): boolean {
    return this.#color
  }

  /** What stands on the last line can be taken back now. */
  get canErase(): boolean {
    return this.#canErase()
  }

  /** Somebody looks at stdout. */
  get terminal(): boolean {
    return this.#streams.out.isTTY === true
  }

  /** Columns of the terminal; undefined when it does not say, or is a file or a pipe, where nothing should be cut. */
  get width(): number | undefined {
    return this.terminal ? this.#streams.out.columns || undefined : undefined
  }

  /** The command's answer: one JSON document with `--json`, else what `human` makes of it. */
  result(value: unknown, human: () => string): void {
    if (this.json) this.#out(`${plainJson(value, 2)}\n`)
    else this.line(human())
  }

  /** One JSON document on a line of its own, for answers that come in pieces. */
  record(value: unknown): void {
    this.#out(`${plainJson(value)}\n`)
  }

  line(text: string): void {
    this.#out(`${plainText(text)}\n`)
  }

  /** Streamed text, no line end added. */
  text(text: string): void {
    this.#out(plainText(text))
  }

  /** Bytes as they are, except on a terminal, where they are shown as text. */
  async raw(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of chunks) {
      const shown = this.terminal ? plainText(decoder.decode(chunk, { stream: true })) : chunk
      if (!this.#out(shown)) await new Promise((resolve) => this.#streams.out.once('drain', resolve))
    }
  }

  /** For people, beside the answer. */
  note(text: string): void {
    this.#err(`${plainText(text)}\n`)
  }

  /** Styled text that this program wrote itself; must not hold anything that came from elsewhere unsanitised. */
  styledLine(parts: readonly Part[]): void {
    this.#out(`${this.#styled(parts)}\n`)
  }

  styledText(parts: readonly Part[]): void {
    this.#out(this.#styled(parts))
  }

  error(value: unknown, human: string): void {
    this.#err(this.json ? `${plainJson(value)}\n` : `${plainText(human)}\n`)
  }

  /** Shows what happens just now on the last line, until something is printed. Nothing where a line cannot be taken back. */
  transient(text: string): void {
    if (!this.canErase || (this.#transientAt !== null && Date.now() - this.#transientAt < TRANSIENT_MS)) return
    const line = cutToWidth(plainLine(text), (this.width ?? 80) - 1)
    this.#streams.out.write(ERASE_LINE + this.#styled([[line, 'dim']]))
    this.#transientAt = Date.now()
  }

  #out(text: string | Uint8Array): boolean {
    this.#eraseTransient()
    return this.#streams.out.write(text)
  }

  #err(text: string): void {
    this.#eraseTransient()
    this.#streams.err.write(text)
  }

  #eraseTransient(): void {
    if (this.#transientAt !== null) this.#streams.out.write(ERASE_LINE)
    this.#transientAt = null
  }

  #styled(parts: readonly Part[]): string {
    return parts
      .map(([text, style]) => {
        const plain = plainText(text)
        return style && this.#color ? styleText(style, plain, { validateStream: false }) : plain
      })
      .join('')
  }
}

import { styleText } from 'node:util'
import { plainJson, plainText } from './terminal-text.ts'

export interface Streams {
  readonly out: NodeJS.WriteStream
  readonly err: NodeJS.WriteStream
}

type Style = Parameters<typeof styleText>[0]

/** Where a command prints: results on stdout, for people or as JSON, everything else on stderr. All text is made harmless. */
export class Output {
  readonly json: boolean
  readonly #streams: Streams
  readonly #color: boolean

  constructor(streams: Streams, options: { json: boolean; color: boolean }) {
    this.#streams = streams
    this.json = options.json
    this.#color = options.color
  }

  /** Somebody looks at stdout. */
  get terminal(): boolean {
    return this.#streams.out.isTTY === true
  }

  /** Columns of the terminal; undefined when it is a file or a pipe, where nothing should be cut. */
  get width(): number | undefined {
    return this.terminal ? this.#streams.out.columns : undefined
  }

  /** The command's answer: one JSON document with `--json`, else what `human` makes of it. */
  result(value: unknown, human: () => string): void {
    if (this.json) this.#streams.out.write(`${plainJson(value, 2)}\n`)
    else this.line(human())
  }

  /** One JSON document on a line of its own, for answers that come in pieces. */
  record(value: unknown): void {
    this.#streams.out.write(`${plainJson(value)}\n`)
  }

  line(text: string): void {
    this.#streams.out.write(`${plainText(text)}\n`)
  }

  /** Streamed text, no line end added. */
  text(text: string): void {
    this.#streams.out.write(plainText(text))
  }

  /** Bytes as they are, except on a terminal, where they are shown as text. */
  async raw(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    for await (const chunk of chunks) {
      const shown = this.terminal ? plainText(decoder.decode(chunk, { stream: true })) : chunk
      if (!this.#streams.out.write(shown)) await new Promise((resolve) => this.#streams.out.once('drain', resolve))
    }
  }

  /** For people, beside the answer. */
  note(text: string): void {
    this.#streams.err.write(`${plainText(text)}\n`)
  }

  /** Styled text that this program wrote itself; must not hold anything that came from elsewhere unsanitised. */
  styledLine(parts: readonly (readonly [text: string, style?: Style])[]): void {
    this.#streams.out.write(`${this.#styled(parts)}\n`)
  }

  styledText(parts: readonly (readonly [text: string, style?: Style])[]): void {
    this.#streams.out.write(this.#styled(parts))
  }

  error(value: unknown, human: string): void {
    this.#streams.err.write(this.json ? `${plainJson(value)}\n` : `${plainText(human)}\n`)
  }

  #styled(parts: readonly (readonly [text: string, style?: Style])[]): string {
    return parts
      .map(([text, style]) => {
        const plain = plainText(text)
        return style && this.#color ? styleText(style, plain, { validateStream: false }) : plain
      })
      .join('')
  }
}

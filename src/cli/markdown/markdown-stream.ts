import { lexer, type Token, type Tokens } from 'marked'
import type { Part } from '../output.ts'
import { plainText } from '../terminal-text.ts'
import { blockLines, codeLine } from './blocks.ts'
import { wrap } from './wrap.ts'

/** Characters of one block, and of one line. A longer one is shown as it is: parsing it again with each line would take too long. */
const LIMIT = 16_384

interface Fence {
  end: RegExp
  indent: RegExp
}

/**
 * Shows Markdown that arrives in pieces: each block as soon as it is whole (of a list each item, of a fenced block each line), once
 * and for good, so that nothing has to be drawn again. How the text was cut makes no difference to what is shown.
 */
export class MarkdownStream {
  readonly #show: (lines: Part[][]) => void
  readonly #width: () => number
  /** The line that is not whole yet, as it came. */
  #line = ''
  /** Whole lines that were not shown yet, made harmless. */
  #rest = ''
  #fence: Fence | null = null
  #last: 'nothing' | 'list' | 'block' = 'nothing'

  /** @param width columns, asked for with each block */
  constructor(show: (lines: Part[][]) => void, width: () => number) {
    this.#show = show
    this.#width = width
  }

  /** The last line of what was not shown yet. */
  get tail(): string {
    return plainText(this.#line) || (this.#rest.trimEnd().split('\n').at(-1) ?? '')
  }

  push(text: string): void {
    this.#line += text
    for (;;) {
      const end = this.#line.indexOf('\n')
      if (end === -1 && this.#line.length < LIMIT) return
      const length = end === -1 ? LIMIT : Math.min(end + 1, LIMIT)
      this.#take(this.#line.slice(0, length))
      this.#line = this.#line.slice(length)
    }
  }

  /** Shows what is left. What comes now is another text. */
  end(): void {
    if (this.#line !== '') this.#take(this.#line)
    this.#line = ''
    if (this.#fence === null) for (const token of this.#lex(this.#rest)) this.#block(token)
    this.#rest = ''
    this.#fence = null
    this.#last = 'nothing'
  }

  #take(line: string): void {
    // Such a line goes on with the block before it, whatever that is: nothing to parse anew.
    const before = this.#rest.slice(this.#rest.lastIndexOf('\n', this.#rest.length - 2) + 1)
    const goesOn = before.trim() !== '' && /^ {0,3}\p{Letter}/u.test(line) && this.#rest.length < LIMIT
    this.#rest += plainText(line.endsWith('\n') ? line : `${line}\n`)
    if (goesOn && !this.#fence) return
    while (this.#rest !== '') {
      const taken = this.#fence ? this.#codeLine(this.#fence) : this.#next()
      if (taken === 0) return
      this.#rest = this.#rest.slice(taken)
    }
  }

  /** @returns how much of the rest was shown, or holds nothing to show */
  #next(): number {
    const blank = /^(?:[ \t]*\n)+/.exec(this.#rest)
    if (blank) return blank[0].length
    const opening = /^( {0,3})(`{3,}(?=[^`\n]*\n)|~{3,})[^\n]*\n/.exec(this.#rest)
    if (opening) {
      const [whole, indent = '', marks = ''] = opening
      const mark = marks.charAt(0)
      this.#fence = {
        end: new RegExp(`^ {0,3}\\${mark}{${marks.length},}[ \\t]*$`),
        indent: new RegExp(`^ {0,${indent.length}}`),
      }
      this.#space('block')
      return whole.length
    }
    const [first, ...next] = this.#lex(this.#rest)
    if (!first) return this.#rest.length
    if (isWhole(first, next)) {
      this.#block(first)
      return first.raw.length
    }
    const items = first.type === 'list' ? this.#items(first as Tokens.List) : 0
    if (items > 0 || this.#rest.length <= LIMIT) return items
    this.#asItIs(this.#rest)
    return this.#rest.length
  }

  #codeLine({ end, indent }: Fence): number {
    const at = this.#rest.indexOf('\n')
    const line = this.#rest.slice(0, at)
    if (end.test(line)) this.#fence = null
    else this.#show([codeLine(line.replace(indent, ''))])
    return at + 1
  }

  /** All items but the last, which may go on. */
  #items(list: Tokens.List): number {
    const items = list.items.slice(0, -1)
    const raw = items.map((item) => item.raw).join('')
    if (items.length === 0 || !this.#rest.startsWith(raw)) return 0
    this.#block({ ...list, raw, items } satisfies Tokens.List)
    return raw.length
  }

  #block(token: Token): void {
    const lines = blockLines(token, this.#width())
    if (lines.length === 0) return
    this.#space(token.type === 'list' ? 'list' : 'block')
    this.#show(lines)
  }

  /** A blank line between blocks, none between the items of a list. */
  #space(next: 'list' | 'block'): void {
    if (this.#last !== 'nothing' && !(this.#last === 'list' && next === 'list')) this.#show([[]])
    this.#last = next
  }

  #asItIs(text: string): void {
    this.#space('block')
    const lines = text.trimEnd().split('\n')
    this.#show(lines.flatMap((line) => wrap([[line]], this.#width())))
  }

  /** Text that is nested deeper than the parser's stack is one paragraph: it is hostile, and has no better form. */
  #lex(text: string): Token[] {
    try {
      return lexer(text)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return [{ type: 'html', raw: text, text, pre: false, block: true } satisfies Tokens.HTML]
    }
  }
}

/** No line that comes can change it any more. */
function isWhole(token: Token, next: readonly Token[]): boolean {
  switch (token.type) {
    case 'heading':
    case 'hr':
      return true
    case 'list':
    case 'code':
    case 'html':
      return next.some(({ type }) => type !== 'space')
    default:
      return next.length > 0
  }
}

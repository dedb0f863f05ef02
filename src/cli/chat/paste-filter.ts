import { plainText } from '../terminal-text.ts'

/** What a terminal puts around pasted text once it was asked to ("bracketed paste", mode 2004 of xterm). */
const START = '\u001b[200~'
const END = '\u001b[201~'
/** Stand for line ends and tabs in a line that is edited. */
const LINE_END = '⏎'
const TAB = '⇥'

/**
 * Takes pasted text for text: what it holds is not a key, so pasted line ends send nothing and pasted control characters do nothing.
 * Line ends and tabs are replaced by characters that can be seen and edited; `unfold` gives them back.
 */
export class PasteFilter {
  #held = ''
  #pasting = false

  /** @returns what is to be taken as typed */
  push(chunk: string): string {
    let text = this.#held + chunk
    this.#held = ''
    let typed = ''
    for (;;) {
      const mark = this.#pasting ? END : START
      const at = text.indexOf(mark)
      if (at === -1) break
      typed += this.#part(text.slice(0, at))
      text = text.slice(at + mark.length)
      this.#pasting = !this.#pasting
    }
    const begun = this.#pasting ? text.length : beginning(text, START)
    this.#held = text.slice(text.length - begun)
    return typed + text.slice(0, text.length - begun)
  }

  /** Something is held back that may be the beginning of a mark: the Escape key, if nothing follows. */
  get undecided(): boolean {
    return !this.#pasting && this.#held !== ''
  }

  /** Nothing followed. */
  flush(): string {
    const held = this.#held
    this.#held = ''
    return held
  }

  #part(text: string): string {
    return this.#pasting ? fold(plainText(text.replace(/\r\n?/g, '\n'))) : text
  }
}

/** A text of several lines as one that can be edited. */
export function fold(text: string): string {
  return text.replaceAll('\n', LINE_END).replaceAll('\t', TAB)
}

export function unfold(line: string): string {
  return line.replaceAll(LINE_END, '\n').replaceAll(TAB, '\t')
}

/** How many characters at the end of the text may be the beginning of the mark. */
function beginning(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--)
    if (mark.startsWith(text.slice(text.length - length))) return length
  return 0
}

import type { Part } from '../output.ts'
import { textWidth } from '../text-width.ts'

/** A forced line break within parts. */
export const BREAK: Part = ['\n']

export function partsWidth(parts: readonly Part[]): number {
  return parts.reduce((width, [text]) => width + textWidth(text), 0)
}

/**
 * Breaks styled text between words into lines of at most `width` columns. White space becomes one space; a word that is longer
 * than a line stays whole, so that it can be copied. No text gives no line.
 */
export function wrap(parts: readonly Part[], width: number): Part[][] {
  const lines: Part[][] = []
  let line: Part[] = []
  let used = 0
  let word: Part[] = []
  let space = false
  const endWord = () => {
    if (word.length === 0) return
    const wide = partsWidth(word)
    if (used > 0 && used + (space ? 1 : 0) + wide > width) endLine()
    else if (used > 0 && space) {
      line.push([' '])
      used++
    }
    line.push(...word)
    used += wide
    word = []
    space = false
  }
  const endLine = () => {
    lines.push(line)
    line = []
    used = 0
  }
  for (const part of parts) {
    if (part === BREAK) {
      endWord()
      endLine()
      continue
    }
    const [text, style] = part
    for (const piece of text.split(/(\s+)/)) {
      if (piece === '') continue
      if (/^\s/.test(piece)) {
        endWord()
        space = true
      } else word.push(style === undefined ? [piece] : [piece, style])
    }
  }
  endWord()
  if (line.length > 0) endLine()
  return lines
}

import type { MarkedToken, Token, Tokens } from 'marked'
import type { Part } from '../output.ts'
import { inlineParts } from './inline.ts'
import { partsWidth, wrap } from './wrap.ts'

/** Below it lines would hold a word or two: they are left to the terminal then. */
const NARROWEST = 20
const CODE_INDENT = '    '

/** One block of Markdown as lines of styled text, without blank lines around it. A block that shows nothing gives none. */
export function blockLines(token: Token, width: number): Part[][] {
  const block = token as MarkedToken
  switch (block.type) {
    case 'space':
    case 'def':
      return []
    case 'heading':
      return wrap(inlineParts(block.tokens, block.depth === 1 ? ['bold', 'underline'] : ['bold']), width)
    case 'code':
      return block.text.replace(/\n$/, '').split('\n').map(codeLine)
    case 'hr':
      return [[['─'.repeat(Math.min(width, 40)), 'dim']]]
    case 'blockquote':
      return stacked(block.tokens, inner(width, 2), true).map((line) => [['│ ', 'dim'], ...line])
    case 'list':
      return block.items.flatMap((item, index) => itemLines(item, marker(block, index), width))
    case 'table':
      return tableLines(block, width)
    case 'paragraph':
      return wrap(inlineParts(block.tokens), width)
    case 'text':
      return wrap(inlineParts([block]), width)
    default:
      return block.raw
        .replace(/\n+$/, '')
        .split('\n')
        .map((line) => [[line]])
  }
}

export function codeLine(text: string): Part[] {
  return text === '' ? [] : [[CODE_INDENT + text, 'cyan']]
}

function inner(width: number, indent: number): number {
  return Math.max(width - indent, NARROWEST)
}

/** Blocks below each other; `apart`: with a blank line between two. */
function stacked(tokens: readonly Token[], width: number, apart: boolean): Part[][] {
  const lines: Part[][] = []
  for (const token of tokens) {
    const next = blockLines(token, width)
    if (apart && lines.length > 0 && next.length > 0) lines.push([])
    lines.push(...next)
  }
  return lines
}

function marker(list: Tokens.List, index: number): string {
  return list.ordered ? `${(list.start === '' ? 1 : list.start) + index}. ` : '• '
}

function itemLines(item: Tokens.ListItem, mark: string, width: number): Part[][] {
  // The box of a task stands beside the text, in a token of its own.
  const [first, ...rest] = item.tokens
  const box = first?.type === 'checkbox' ? inlineParts([first]) : []
  const lines = stacked(box.length > 0 ? rest : item.tokens, inner(width, mark.length), false)
  const indent = ' '.repeat(mark.length)
  return (lines.length > 0 ? lines : [[]]).map((line, at) =>
    at === 0 ? [[`  ${mark}`], ...box, ...line] : line.length === 0 ? [] : [[`  ${indent}`], ...line],
  )
}

/** Aligned columns; where they do not fit, each cell on a line of its own under its title, so that nothing is cut. */
function tableLines({ header, rows }: Tokens.Table, width: number): Part[][] {
  const titles = header.map((cell) => inlineParts(cell.tokens, ['bold']))
  const cells = rows.map((row) => row.map((cell) => inlineParts(cell.tokens)))
  const widths = titles.map((title, at) => Math.max(...[title, ...cells.map((row) => row[at] ?? [])].map(partsWidth)))
  if (widths.reduce((sum, each) => sum + each + 2, 0) - 2 > width)
    return cells.flatMap((row, at) => [
      ...(at === 0 ? [] : [[]]),
      ...row.flatMap((cell, column) => wrap([...(titles[column] ?? []), [': '], ...cell], width)),
    ])
  const line = (row: Part[][]) =>
    row.flatMap((cell, at): Part[] =>
      at === row.length - 1 ? cell : [...cell, [' '.repeat((widths[at] ?? 0) - partsWidth(cell) + 2)]],
    )
  return [line(titles), [[widths.map((each) => '─'.repeat(each)).join('  '), 'dim']], ...cells.map(line)]
}

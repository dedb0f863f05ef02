const FONT_SIZE = 13
const LINE = 18
/** Columns are as wide as this, in the fonts named below. */
const COLUMN = 7.83
const PADDING = 16
const COLORS: Record<number, string> = {
  30: '#484f58',
  31: '#ff7b72',
  32: '#3fb950',
  33: '#d29922',
  34: '#58a6ff',
  35: '#bc8cff',
  36: '#39c5cf',
  37: '#b1bac4',
}

interface Look {
  color: number | null
  on: Set<number>
}

const ATTRIBUTES: Record<number, string> = {
  1: 'font-weight="bold"',
  2: 'opacity="0.6"',
  3: 'font-style="italic"',
  4: 'text-decoration="underline"',
  9: 'text-decoration="line-through"',
}
/** What ends which. */
const ENDS: Record<number, number[]> = { 22: [1, 2], 23: [3], 24: [4], 29: [9] }

/** A picture of a terminal. @param screen text with colours as escape sequences (SGR); @param title read by those who do not see it */
export function terminalSvg(screen: string, columns: number, title: string): string {
  const lines = screen.trimEnd().split('\n')
  const width = Math.ceil(columns * COLUMN) + 2 * PADDING
  const height = lines.length * LINE + 2 * PADDING
  const look: Look = { color: null, on: new Set() }
  const rows = lines.map((line, row) => {
    const spans = spansOf(line.trimEnd(), look)
    return spans === '' ? '' : `<text x="${PADDING}" y="${PADDING + LINE * row + FONT_SIZE}">${spans}</text>\n`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${FONT_SIZE}" fill="#e6edf3">
${rows.join('')}</g>
</svg>
`
}

function spansOf(line: string, look: Look): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what it reads
  const pieces = line.split(/\u001b\[([\d;]*)m/)
  return pieces
    .map((piece, at) => {
      if (at % 2 === 0) return piece === '' ? '' : `<tspan${attributes(look)}>${spaced(escaped(piece))}</tspan>`
      for (const code of piece.split(';')) apply(Number(code), look)
      return ''
    })
    .join('')
}

function apply(code: number, look: Look): void {
  if (code === 0) {
    look.color = null
    look.on.clear()
  } else if (code in COLORS) look.color = code
  else if (code === 39) look.color = null
  else if (code in ATTRIBUTES) look.on.add(code)
  else for (const ended of ENDS[code] ?? []) look.on.delete(ended)
}

function attributes({ color, on }: Look): string {
  const fill = color === null ? [] : [`fill="${COLORS[color]}"`]
  return [...fill, ...[...on].sort().map((code) => ATTRIBUTES[code])].map((attribute) => ` ${attribute}`).join('')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** SVG makes several spaces one, and who shows it does not agree on what forbids that. */
function spaced(text: string): string {
  return text.replaceAll(' ', '\u00a0')
}

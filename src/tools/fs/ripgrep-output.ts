import type { ToolContext } from '../../catalog/define-tool.ts'

/** A line that ripgrep says matched. */
export interface Match {
  /** As ripgrep was given it. */
  path: string
  line: number
  /** Where `text` begins in the file, in bytes. */
  offset: number
  /** The line without its end; of a long one, the part around the match. */
  text: Buffer
  /** What stands before `text` on its line. */
  before: Buffer
  /** Whether `text` begins after the line's beginning, and ends before its end. */
  cut: { before: boolean; after: boolean }
  /** At most 50 places in the line: column in characters from 1, and where in `text` it begins and ends, in bytes. */
  occurrences: { column: number; start: number; end: number }[]
}

/** Bytes of a line that are shown: a minified file has its whole program in one. */
const BEFORE = 200
const SHOWN = 800

/** A generated file may have thousands. */
const MOST_ON_A_LINE = 50

type Text = { text: string } | { bytes: string }

interface MatchMessage {
  type: 'match'
  data: {
    path: Text
    lines: Text
    line_number: number | null
    absolute_offset: number
    submatches: { start: number; end: number }[]
  }
}

/** Reads at most `limit` matches from the output of `rg --json`. A last line that was cut off is left out. */
export function parseMatches(output: string, limit: number): Match[] {
  const matches: Match[] = []
  for (const line of output.split('\n')) {
    if (matches.length >= limit) break
    if (!line.startsWith('{"type":"match"')) continue
    const message = parseMessage(line)
    if (message) matches.push(toMatch(message))
  }
  return matches
}

function toMatch({ data }: MatchMessage): Match {
  const line = decode(data.lines)
  const end = line.length - (/\r?\n$/.exec(line.subarray(-2).toString('latin1'))?.[0].length ?? 0)
  const start = data.submatches[0]?.start ?? 0
  const from = end <= SHOWN ? 0 : characterStart(line, Math.max(0, Math.min(start - BEFORE, end - SHOWN)))
  const to = end <= from + SHOWN ? end : characterStart(line, from + SHOWN)
  return {
    path: decode(data.path).toString(),
    line: data.line_number ?? 0,
    offset: data.absolute_offset + from,
    text: line.subarray(from, to),
    before: line.subarray(0, from),
    cut: { before: from > 0, after: to < end },
    occurrences: occurrencesIn(line, data.submatches, from),
  }
}

/** In one pass over the line, which may be a whole minified program. Columns count characters, not bytes. */
function occurrencesIn(line: Buffer, places: { start: number; end: number }[], from: number): Match['occurrences'] {
  let characters = 0
  let at = 0
  return places.slice(0, MOST_ON_A_LINE).map(({ start, end }) => {
    for (; at < start && at < line.length; at++) if (((line[at] as number) & 0xc0) !== 0x80) characters++
    return { column: characters + 1, start: start - from, end: end - from }
  })
}

/** Where the character begins that this byte belongs to. */
function characterStart(line: Buffer, at: number): number {
  let start = at
  while (start > 0 && start > at - 3 && ((line[start] as number) & 0xc0) === 0x80) start--
  return start
}

/** What is shown of a match. */
export function snippetOf(match: Match, excerpt: ToolContext['excerpt']): string {
  const { before, after } = match.cut
  return `${before ? '…' : ''}${shownText(match, excerpt)}${after ? '…' : ''}`
}

/** The text of a match without secrets, nor a piece of one that lies over its ends. */
export function shownText({ before, text, cut }: Match, excerpt: ToolContext['excerpt']): string {
  const [preceding, part] = [before.toString(), text.toString()]
  // Whatever follows, the text is known to go on: what may be the beginning of a secret is left out.
  const line = `${preceding}${part}${cut.after ? '\n' : ''}`
  return excerpt(line, preceding.length, preceding.length + part.length)
}

/** Null: cut off in the middle, which only happens to the last line of an output that was stopped. */
function parseMessage(line: string): MatchMessage | null {
  if (!line.endsWith('}')) return null
  try {
    return JSON.parse(line) as MatchMessage
  } catch {
    return null
  }
}

function decode(text: Text): Buffer {
  return 'text' in text ? Buffer.from(text.text) : Buffer.from(text.bytes, 'base64')
}

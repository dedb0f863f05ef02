/** A line that ripgrep says matched. */
export interface Match {
  /** As ripgrep was given it. */
  path: string
  line: number
  /** Where `text` begins in the file, in bytes. */
  offset: number
  /** The line without its end; of a long one, the part around the match. */
  text: Buffer
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
  const from = end <= SHOWN ? 0 : Math.max(0, Math.min(start - BEFORE, end - SHOWN))
  const to = Math.min(end, from + SHOWN)
  return {
    path: decode(data.path).toString(),
    line: data.line_number ?? 0,
    offset: data.absolute_offset + from,
    text: line.subarray(from, to),
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

/** What is shown of a match; characters that were cut at the ends are left off. */
export function snippetOf({ text, cut }: Match): string {
  let shown = text.toString()
  if (cut.before) shown = `…${shown.replace(/^\ufffd+/, '')}`
  if (cut.after) shown = `${shown.replace(/\ufffd+$/, '')}…`
  return shown
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

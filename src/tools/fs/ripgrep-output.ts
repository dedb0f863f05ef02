/** A line that matched. `path` is as ripgrep was given it. */
export interface Match {
  path: string
  line: number
  snippet: string
}

/** Characters of a line that are shown: a minified file has its whole program in one. */
const SNIPPET = 400

type Text = { text: string } | { bytes: string }

interface MatchMessage {
  type: 'match'
  data: { path: Text; lines: Text; line_number: number | null; submatches: { start: number }[] }
}

/** Reads at most `limit` matches from the output of `rg --json`. A last line that was cut off is left out. */
export function parseMatches(output: string, limit: number): Match[] {
  const matches: Match[] = []
  for (const line of output.split('\n')) {
    if (matches.length >= limit) break
    if (!line.startsWith('{"type":"match"')) continue
    const message = parseMessage(line)
    if (!message) continue
    const { path, lines, line_number, submatches } = message.data
    matches.push({ path: decode(path), line: line_number ?? 0, snippet: snippet(decode(lines), submatches[0]?.start ?? 0) })
  }
  return matches
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

function decode(text: Text): string {
  return 'text' in text ? text.text : Buffer.from(text.bytes, 'base64').toString()
}

/** @param start byte offset of the first match in the line */
function snippet(line: string, start: number): string {
  const text = line.replace(/[\r\n]+$/, '')
  if (text.length <= SNIPPET) return text
  const at = Buffer.from(text).subarray(0, start).toString().length
  const from = Math.max(0, Math.min(at - SNIPPET / 4, text.length - SNIPPET))
  return `${from > 0 ? '…' : ''}${text.slice(from, from + SNIPPET)}${from + SNIPPET < text.length ? '…' : ''}`
}

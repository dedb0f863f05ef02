import { z } from 'zod'
import type { ToolContext } from '../../catalog/define-tool.ts'
import { type Match, snippetOf } from '../fs/ripgrep-output.ts'
import { searchText, type TextSearch } from '../fs/search-text.ts'
import { shownPath } from '../workspace-path.ts'

export const occurrenceSchema = z.object({
  path: z.string(),
  line: z.int(),
  column: z.int().describe('In characters, from 1.'),
  snippet: z.string().describe('The line.'),
})

export interface Occurrence {
  path: string
  line: number
  column: number
  snippet: string
  /** What stands before and after it on its line, as far as that is shown. */
  before: string
  after: string
}

export function symbolArgument() {
  return z
    .string()
    .min(1)
    .max(160)
    .regex(/^[^\n\r\0]+$/, 'must be on one line')
}

/** Every place, not every line, where the symbol stands; sorted by path, line and column. */
export async function findOccurrences(
  search: TextSearch,
  context: ToolContext,
): Promise<{ occurrences: Occurrence[]; truncated: boolean; exit_code: number | null }> {
  const { matches, truncated, exit_code } = await searchText(search, context)
  return { occurrences: matches.flatMap((match) => occurrencesOf(match, context)), truncated, exit_code }
}

function occurrencesOf(match: Match, { excerpt }: ToolContext): Occurrence[] {
  const snippet = snippetOf(match, excerpt)
  const path = shownPath(match.path)
  return match.occurrences.map(({ column, start, end }) => ({
    path,
    line: match.line,
    column,
    snippet,
    before: match.text.subarray(0, Math.max(0, start)).toString(),
    after: match.text.subarray(Math.max(0, end)).toString(),
  }))
}

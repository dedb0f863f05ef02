import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { findOccurrences, occurrenceSchema, symbolArgument } from './symbol-occurrences.ts'

export default defineTool({
  name: 'repo.symbol_search',
  description: `Finds where a name stands in the text files of the repository: each place with path, line, column and the line itself, sorted.
The name is taken literally, unless use_regex is set (Rust syntax, as ripgrep). Hidden files are searched; .git, binary files, files above
16 MiB and whatever .gitignore names are skipped. It knows no language: to tell declarations from uses take repo.find_references, for the
outline of a file repo.symbols. Nothing found is a success.`,
  input: z.object({
    symbol: symbolArgument().describe('The name, or with use_regex a regular expression, matched within a line.'),
    path: pathArgument('The directory or file to search.').default('.'),
    max_results: z.int().min(1).max(2000).default(200).describe('At most this many places.'),
    case_sensitive: z.boolean().default(true).describe('false: upper and lower case are the same.'),
    whole_word: z.boolean().default(false).describe('Only where no letter, digit or underscore stands beside it.'),
    use_regex: z.boolean().default(false).describe('The symbol is a regular expression.'),
  }),
  output: z.object({
    symbol: z.string(),
    path: z.string(),
    matches_count: z.int().describe('How many places are returned.'),
    truncated: z.boolean().describe('There are more: narrow the name or the path.'),
    matches: z.array(occurrenceSchema),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 120,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'Where is parseDate used?', args: { symbol: 'parseDate', path: 'src', whole_word: true } }],
  async handler({ symbol, path, max_results, case_sensitive, whole_word, use_regex }, context) {
    const search = { pattern: symbol, path, max_results, fixed: !use_regex, ignore_case: !case_sensitive, whole_word }
    const { occurrences, truncated: more, exit_code } = await findOccurrences(search, context)
    const matches = occurrences
      .slice(0, max_results)
      .map(({ path: at, line, column, snippet }) => ({ path: at, line, column, snippet }))
    const truncated = more || occurrences.length > matches.length
    return {
      output: { symbol, path: shownPath(path), matches_count: matches.length, truncated, matches },
      exit_code,
      truncated,
    }
  },
})

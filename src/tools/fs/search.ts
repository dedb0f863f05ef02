import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { snippetOf } from './ripgrep-output.ts'
import { searchText } from './search-text.ts'

export default defineTool({
  name: 'fs.search',
  description: `Searches the text files of the workspace for a regular expression (Rust syntax, as ripgrep: no look-around, no
back-references; escape ( ) [ ] { } . * + ? | \\ ^ $ to find them literally), line by line, sorted by path. Returns path, line number
and the line. Hidden files are searched; .git, binary files, files above 16 MiB and whatever .gitignore names are skipped
(include_ignored searches the latter too). Symbolic links are not followed. Nothing found is a success with count 0.`,
  input: z.object({
    pattern: z.string().min(1).max(1024).describe('Regular expression, matched within a line.'),
    path: pathArgument('The directory or file to search.').default('.'),
    max_results: z.int().min(1).max(2000).default(200).describe('At most this many matching lines are returned.'),
    include_ignored: z.boolean().default(false).describe('Also search what .gitignore names (build output, dependencies).'),
  }),
  output: z.object({
    matches: z.array(z.object({ path: z.string(), line: z.int(), snippet: z.string() })),
    count: z.int().describe('How many matching lines are returned.'),
    truncated: z.boolean().describe('There are more: narrow the pattern or the path.'),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 30,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'Where a function is defined', args: { pattern: 'function\\s+parseDate\\b', path: 'src' } }],
  async handler(args, context) {
    const { matches: found, truncated, exit_code } = await searchText(args, context)
    const matches = found.map((match) => ({
      path: shownPath(match.path),
      line: match.line,
      snippet: snippetOf(match, context.excerpt),
    }))
    return { output: { matches, count: matches.length, truncated }, exit_code, truncated }
  },
})

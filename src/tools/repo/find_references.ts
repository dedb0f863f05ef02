import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { looksDeclared } from './looks-declared.ts'
import { findOccurrences, occurrenceSchema, symbolArgument } from './symbol-occurrences.ts'

/** Lines that are read beyond what is asked for, because declarations among them are left out. */
const SPARE_LINES = 500

export default defineTool({
  name: 'repo.find_references',
  description: `Finds where a name is used in the repository, as a whole word, and tells by the look of each line whether it is declared there
(function, class, type, constant, ... in the common languages). It is a text search: it does not resolve imports or scopes, counts
comments and strings too, and may take one name for another of the same spelling. .git, binary files, files above 16 MiB and whatever
.gitignore names are skipped. Nothing found is a success.`,
  input: z.object({
    symbol: symbolArgument().describe('The name, taken literally.'),
    path: pathArgument('The directory or file to search.').default('.'),
    max_references: z.int().min(1).max(2000).default(200).describe('At most this many places.'),
    max_results: z.int().min(1).max(2000).optional().describe('Another name for max_references; it wins if both are given.'),
    case_sensitive: z.boolean().default(true).describe('false: upper and lower case are the same.'),
    include_declarations: z.boolean().default(true).describe('false: only places that do not look like declarations.'),
  }),
  output: z.object({
    symbol: z.string(),
    path: z.string(),
    references_count: z.int().describe('How many places are returned.'),
    declaration_count: z.int().describe('Among all that were found, also when they are left out.'),
    truncated: z.boolean().describe('There are more: narrow the path.'),
    references: z.array(occurrenceSchema.extend({ is_declaration: z.boolean() })),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 120,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'Who calls parseDate?', args: { symbol: 'parseDate', include_declarations: false } }],
  async handler({ symbol, path, max_references, max_results, case_sensitive, include_declarations }, context) {
    const most = max_results ?? max_references
    const lines = most + (include_declarations ? 0 : SPARE_LINES)
    const search = { pattern: symbol, path, max_results: lines, fixed: true, whole_word: true, ignore_case: !case_sensitive }
    const { occurrences, truncated: more, exit_code } = await findOccurrences(search, context)
    const found = occurrences.map(({ before, after, ...place }) => ({ ...place, is_declaration: looksDeclared(before, after) }))
    const wanted = found.filter((each) => include_declarations || !each.is_declaration)
    const references = wanted.slice(0, most)
    const truncated = more || wanted.length > references.length
    return {
      output: {
        symbol,
        path: shownPath(path),
        references_count: references.length,
        declaration_count: found.filter((each) => each.is_declaration).length,
        truncated,
        references,
      },
      exit_code,
      truncated,
    }
  },
})

import { z } from 'zod'
import { defineTool, type ToolContext } from '../../catalog/define-tool.ts'
import { type Match, shownText } from '../fs/ripgrep-output.ts'
import { searchText } from '../fs/search-text.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { redactedSnippet, SEARCH, SECRET_KINDS } from './secret-rules.ts'

const findingSchema = z.object({
  path: z.string(),
  line: z.int(),
  rule: z.enum(SECRET_KINDS),
  snippet: z.string().describe('The line, with whatever looks like a secret hidden.'),
})

type Finding = z.infer<typeof findingSchema>

export default defineTool({
  name: 'security.scan_secrets',
  description: `Looks through the text files of the workspace for secrets that should not be there: AWS access keys, private keys, and values
assigned to names like token, secret, password or api_key. Returns path, line and kind; the secret itself is never shown, read the line
with fs.read_lines if you must. Hidden and ignored files are searched, .git and files above 16 MiB are not. It is a search by patterns:
there are false alarms, and an empty list proves nothing.`,
  input: z.object({
    path: pathArgument('The directory or file to search.').default('.'),
    max_results: z.int().min(1).max(2000).default(200).describe('At most this many findings are returned.'),
  }),
  output: z.object({
    findings_count: z.int(),
    findings: z.array(findingSchema),
    truncated: z.boolean().describe('There may be more: raise max_results or narrow the path.'),
    output: z.string().describe('The same as text, a line each.'),
  }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 90,
  policy: { paths: [{ field: 'path', access: 'read' }] },
  primary_output: 'output',
  errors: ['invalid_argument', 'not_found'],
  examples: [{ title: 'The whole workspace', args: {} }],
  async handler({ path, max_results }, context) {
    // Some lines are no secrets after all.
    const search = { pattern: SEARCH, path, max_results: max_results * 2, include_ignored: true }
    const { matches, truncated: more } = await searchText(search, context)
    const found = matches.map((match) => toFinding(match, context)).filter((each) => each !== null)
    const findings = found.slice(0, max_results)
    const truncated = more || found.length > max_results
    const output = findings.map((each) => `${each.path}:${each.line}: ${each.rule}: ${each.snippet}\n`).join('')
    return { output: { findings_count: findings.length, findings, truncated, output }, exit_code: 0, truncated }
  },
})

/** Null: nothing on the line is a secret. */
function toFinding(match: Match, { excerpt }: ToolContext): Finding | null {
  const { path, line, text, cut } = match
  // Of a long line a part is there, which may begin within a secret.
  const whole = (part: string) => (cut.before ? part.replace(/^[^\s"'`=:,;]+/, '') : part)
  // Judged as it is, shown without the session's own secrets: of one that is hidden or cut in part only, the rest would leave.
  const judged = redactedSnippet(whole(text.toString()), whole(shownText(match, excerpt)))
  return judged && { path: shownPath(path), line, ...judged }
}

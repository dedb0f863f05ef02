import { posix } from 'node:path'
import { z } from 'zod'
import { defineTool, type ToolSandbox } from '../../catalog/define-tool.ts'
import { CloisterError, ToolError } from '../../domain/errors.ts'
import { inGitDirectory, resolvePath, WORKSPACE } from '../../domain/path.ts'
import { type Match, parseMatches } from '../fs/ripgrep-output.ts'
import { isAllowed, pathArgument, shownPath } from '../workspace-path.ts'
import { redactedSnippet, SEARCHES } from './secret-rules.ts'

const OUTPUT_BYTES = 8 * 1024 * 1024
/** Bytes of a line that are looked at again. */
const LINE_BYTES = 2048
/** Lines that are read again at a time. */
const AT_ONCE = 16

const findingSchema = z.object({
  path: z.string(),
  line: z.int(),
  rule: z.enum(['aws_access_key', 'private_key', 'assigned_secret']),
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
  examples: [{ title: 'The whole workspace', args: {} }],
  async handler({ path, max_results }, { sandbox, session }) {
    const entry = await sandbox.stat(path)
    if (!entry) throw new ToolError('not_found', `${shownPath(path)} does not exist`)
    // Ripgrep follows a link that it is given by name.
    if (entry.type === 'symlink')
      throw new ToolError('invalid_argument', `${shownPath(path)} is a symbolic link: search what it leads to`)
    const { matches, stopped } = await search(path, inGitDirectory(entry.path), max_results, sandbox)
    const found: Finding[] = []
    for (let at = 0; at < matches.length && found.length <= max_results; at += AT_ONCE) {
      const batch = matches.slice(at, at + AT_ONCE).filter((match) => isAllowed(match.path, session.allowed_paths))
      found.push(...(await Promise.all(batch.map(async (match) => await look(match, sandbox)))).filter((each) => each !== null))
    }
    const findings = found.slice(0, max_results)
    const truncated = stopped || found.length > max_results
    const output = findings.map((each) => `${each.path}:${each.line}: ${each.rule}: ${each.snippet}\n`).join('')
    return { output: { findings_count: findings.length, findings, truncated, output }, exit_code: 0, truncated }
  },
})

async function search(path: string, inGit: boolean, most: number, sandbox: ToolSandbox) {
  const argv = ['rg', '--json', '--no-config', '--no-follow', '--hidden', '--no-ignore', '--sort=path', '--color=never']
  argv.push(
    '--max-filesize=16M',
    '--no-messages',
    '--no-pre',
    '--no-search-zip',
    '--encoding=none',
    `--max-count=${most * 2 + 1}`,
  )
  if (!inGit) argv.push('--glob=!.git')
  for (const pattern of SEARCHES) argv.push('-e', pattern)
  const verdict = resolvePath(path)
  argv.push('--', (verdict.ok && posix.relative(WORKSPACE, verdict.path)) || '.')
  // Quiet: what it prints are the secrets.
  const result = await sandbox.run(argv, { without_secrets: true, quiet: true, stop_after_bytes: OUTPUT_BYTES })
  if (!result.stopped && result.exit_code > 1)
    throw new ToolError('execution_failed', `ripgrep ended with exit code ${result.exit_code}`, { exitCode: result.exit_code })
  return { matches: parseMatches(result.stdout, most * 4), stopped: result.stopped }
}

/**
 * Reads the place again by host, which no link swapped in meanwhile leads astray, and judges what host read. Null: nothing is
 * there (any more), or nothing that is a secret after all.
 */
async function look(match: Match, sandbox: ToolSandbox): Promise<Finding | null> {
  try {
    const { content } = await sandbox.read(match.path, { offset: match.offset, max_bytes: LINE_BYTES })
    const end = content.indexOf(0x0a)
    const line = content.subarray(0, end === -1 ? content.length : end).toString()
    const judged = redactedSnippet(line)
    if (!judged) return null
    return { path: shownPath(match.path), line: match.line, rule: judged.rule as Finding['rule'], snippet: judged.snippet }
  } catch (error) {
    const moved = error instanceof ToolError && (error.code === 'not_found' || error.code === 'invalid_argument')
    if (moved || (error instanceof CloisterError && error.code === 'policy_denied')) return null
    throw error
  }
}

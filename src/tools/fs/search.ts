import { posix } from 'node:path'
import { z } from 'zod'
import { defineTool, type ToolSandbox } from '../../catalog/define-tool.ts'
import { CloisterError, ToolError } from '../../domain/errors.ts'
import { inGitDirectory, resolvePath, WORKSPACE } from '../../domain/path.ts'
import { isAllowed, pathArgument, shownPath } from '../workspace-path.ts'
import { type Match, parseMatches, snippetOf } from './ripgrep-output.ts'

/** Of ripgrep's JSON. 2000 matches with ordinary lines need about 1 MiB. */
const OUTPUT_BYTES = 8 * 1024 * 1024

/** Lines that are read again at a time. */
const AT_ONCE = 16

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
  examples: [{ title: 'Where a function is defined', args: { pattern: 'function\\s+parseDate\\b', path: 'src' } }],
  async handler({ pattern, path, max_results, include_ignored }, { sandbox, session }) {
    const entry = await sandbox.stat(path)
    if (!entry) throw new ToolError('not_found', `${shownPath(path)} does not exist`)
    // Ripgrep follows a link that it is given by name.
    if (entry.type === 'symlink')
      throw new ToolError('invalid_argument', `${shownPath(path)} is a symbolic link: search the directory that it leads to`)
    const argv = ['rg', '--json', '--no-config', '--no-follow', '--hidden', '--sort=path', '--color=never', '--max-filesize=16M']
    argv.push(
      '--no-messages',
      '--no-ignore-messages',
      '--no-pre',
      '--no-search-zip',
      '--no-ignore-global',
      '--no-ignore-dot',
      '--encoding=none',
    )
    argv.push(include_ignored ? '--no-ignore' : '--no-require-git', `--max-count=${max_results + 1}`)
    if (!inGitDirectory(entry.path)) argv.push('--glob=!.git')
    // Relative, because only the working directory is mapped where there is no mount namespace.
    argv.push('-e', pattern, '--', relativeToWorkspace(path))
    const result = await sandbox.run(argv, { without_secrets: true, quiet: true, stop_after_bytes: OUTPUT_BYTES })
    if (!result.stopped && result.exit_code > 1 && result.stderr.trim() !== '')
      throw new ToolError('invalid_argument', `ripgrep refuses the pattern or the path: ${result.stderr.trim().slice(0, 1000)}`)
    const found = parseMatches(result.stdout, max_results + 1).filter((match) => isAllowed(match.path, session.allowed_paths))
    const kept = await confirmed(found.slice(0, max_results), sandbox)
    const matches = kept.map((match) => ({ path: shownPath(match.path), line: match.line, snippet: snippetOf(match) }))
    const truncated = found.length > max_results || result.stopped
    return {
      output: { matches, count: matches.length, truncated },
      exit_code: result.stopped ? null : result.exit_code,
      truncated,
    }
  },
})

/**
 * Ripgrep opens files by name, so a directory that becomes a link while it runs leads it out of the workspace. Host opens without
 * that race: a line counts only if host reads the same bytes at the same place.
 */
async function confirmed(matches: Match[], sandbox: ToolSandbox): Promise<Match[]> {
  const kept: Match[] = []
  for (let at = 0; at < matches.length; at += AT_ONCE) {
    const batch = matches.slice(at, at + AT_ONCE)
    const same = await Promise.all(batch.map(async (match) => await isThere(match, sandbox)))
    kept.push(...batch.filter((_, index) => same[index]))
  }
  return kept
}

async function isThere(match: Match, sandbox: ToolSandbox): Promise<boolean> {
  try {
    const { content } = await sandbox.read(match.path, { offset: match.offset, max_bytes: Math.max(1, match.text.length) })
    return content.subarray(0, match.text.length).equals(match.text)
  } catch (error) {
    const moved = error instanceof ToolError && (error.code === 'not_found' || error.code === 'invalid_argument')
    if (moved || (error instanceof CloisterError && error.code === 'policy_denied')) return false
    throw error
  }
}

function relativeToWorkspace(path: string): string {
  const verdict = resolvePath(path)
  return (verdict.ok && posix.relative(WORKSPACE, verdict.path)) || '.'
}

import { posix } from 'node:path'
import type { ToolContext, ToolSandbox } from '../../catalog/define-tool.ts'
import { CloisterError, ToolError } from '../../domain/errors.ts'
import { inGitDirectory, resolvePath, WORKSPACE } from '../../domain/path.ts'
import { isAllowed, shownPath } from '../workspace-path.ts'
import { type Match, parseMatches } from './ripgrep-output.ts'

/** Of ripgrep's JSON. 2000 matches with ordinary lines need about 1 MiB. */
const OUTPUT_BYTES = 8 * 1024 * 1024

/** Lines that are read again at a time. */
const AT_ONCE = 16

export interface TextSearch {
  /** A regular expression of ripgrep's, or with `fixed` a text. */
  pattern: string
  /** File or directory, as the caller gave it. */
  path: string
  /** Lines. */
  max_results: number
  include_ignored?: boolean
  fixed?: boolean
  ignore_case?: boolean
  whole_word?: boolean
}

/** What was found, sorted by path and line. */
export interface Found {
  matches: Match[]
  /** There is more. */
  truncated: boolean
  /** Of ripgrep. Null: it was stopped, because it said too much. */
  exit_code: number | null
}

/**
 * Searches the text files of the workspace line by line, within what the session may use.
 * @throws ToolError not_found; invalid_argument for a symbolic link, or a pattern that ripgrep refuses
 */
export async function searchText(search: TextSearch, { sandbox, session }: ToolContext): Promise<Found> {
  const { pattern, path, max_results, include_ignored = false } = search
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
  if (search.fixed) argv.push('--fixed-strings')
  if (search.ignore_case) argv.push('--ignore-case')
  if (search.whole_word) argv.push('--word-regexp')
  if (!inGitDirectory(entry.path)) argv.push('--glob=!.git')
  // Relative, because only the working directory is mapped where there is no mount namespace.
  argv.push('-e', pattern, '--', relativeToWorkspace(path))
  const result = await sandbox.run(argv, { without_secrets: true, quiet: true, stop_after_bytes: OUTPUT_BYTES })
  if (!result.stopped && result.exit_code > 1 && result.stderr.trim() !== '')
    throw new ToolError('invalid_argument', `ripgrep refuses the pattern or the path: ${result.stderr.trim().slice(0, 1000)}`)
  const found = parseMatches(result.stdout, max_results + 1).filter((match) => isAllowed(match.path, session.allowed_paths))
  const kept = await confirmed(found.slice(0, max_results), sandbox)
  return {
    matches: kept,
    truncated: found.length > max_results || result.stopped,
    exit_code: result.stopped ? null : result.exit_code,
  }
}

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

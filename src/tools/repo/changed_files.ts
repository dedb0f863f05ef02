import { z } from 'zod'
import { defineTool, type ToolContext } from '../../catalog/define-tool.ts'
import { isUnder, resolvePath } from '../../domain/path.ts'
import { openRepository } from '../git/git-command.ts'
import { refArgument, resolveCommit } from '../git/git-ref.ts'
import { pathspecs } from '../git/git-scope.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'
import { type ChangedFile, changedFileSchema, readNameStatus, readProvided, readStatus } from './changed-files.ts'

export default defineTool({
  name: 'repo.changed_files',
  description: `Lists which files are changed: by default in the working tree and the index against HEAD, with base_ref what the commits since
HEAD left that base have changed (base...HEAD, as in a pull request; the working tree does not count then), with output what a git status
--short or git diff --name-status says that you have. Sorted by path, with a summary, within the paths that the session may use. It shows
no contents (git.diff does) and changes nothing.`,
  input: z.object({
    base_ref: refArgument('Compare HEAD with where it left this one.').max(120).optional(),
    path: pathArgument('Only files there.').default('.'),
    max_files: z.int().min(1).max(2000).default(200).describe('At most this many files; all are counted.'),
    include_untracked: z.boolean().default(true).describe('Also files that git does not know yet, except those it ignores.'),
    output: z
      .string()
      .max(1024 * 1024)
      .optional()
      .describe('Read this instead of asking git: lines of git status --short or git diff --name-status.'),
  }),
  output: z.object({
    source: z.enum(['git', 'provided_output']),
    mode: z.enum(['working_tree', 'base_ref_diff', 'provided_output']),
    base_ref: z.string().nullable(),
    path: z.string(),
    command: z.array(z.string()).describe('Empty if git was not asked.'),
    exit_code: z.int().nullable(),
    changed_count: z.int().describe('Also of the files that were left out.'),
    changed_files: z.array(changedFileSchema),
    summary: z.string(),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 90,
  policy: { paths: [{ field: 'path', access: 'read' }], refs: ['base_ref'] },
  errors: ['invalid_argument', 'git_repo_error'],
  examples: [
    { title: 'What is changed here?', args: {} },
    { title: 'What did this branch change?', args: { base_ref: 'main', path: 'src' } },
  ],
  async handler(args, context) {
    const asked = await changes(args, context)
    const files = asked.files
      .filter((file) => args.include_untracked || !file.untracked)
      .toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
    const { source, mode, command, exit_code } = asked
    const output = {
      ...{ source, mode, base_ref: args.base_ref ?? null, path: shownPath(args.path), command, exit_code },
      changed_count: files.length,
      changed_files: files.slice(0, args.max_files),
      summary: sentence(files),
    }
    return { output, exit_code, truncated: files.length > output.changed_files.length }
  },
})

interface Changes {
  source: 'git' | 'provided_output'
  mode: 'working_tree' | 'base_ref_diff' | 'provided_output'
  command: string[]
  exit_code: number | null
  files: ChangedFile[]
}

async function changes(
  args: { base_ref?: string | undefined; path: string; include_untracked: boolean; output?: string | undefined },
  context: ToolContext,
): Promise<Changes> {
  const specs = pathspecs(context.session.allowed_paths, args.path === '.' ? [] : [args.path])
  if (args.output !== undefined) {
    const files = readProvided(args.output).filter((file) => liesUnder(file.path, args.path))
    return { source: 'provided_output', mode: 'provided_output', command: [], exit_code: null, files }
  }
  const repository = await openRepository(context)
  if (args.base_ref !== undefined) {
    const base = await resolveCommit(repository, args.base_ref)
    const options = ['--name-status', '-z', '--find-renames', '--no-ext-diff', '--no-textconv', '--ignore-submodules=dirty']
    const { stdout, command, exit_code } = await repository.run(['diff', ...options, `${base}...HEAD`, '--', ...specs])
    return { source: 'git', mode: 'base_ref_diff', command, exit_code, files: readNameStatus(stdout) }
  }
  const untracked = `--untracked-files=${args.include_untracked ? 'all' : 'no'}`
  const options = ['--porcelain=v1', '-z', untracked, '--ignore-submodules=dirty']
  const { stdout, command, exit_code } = await repository.run(['status', ...options, '--', ...specs])
  return { source: 'git', mode: 'working_tree', command, exit_code, files: readStatus(stdout) }
}

function liesUnder(path: string, directory: string): boolean {
  const [file, root] = [resolvePath(path), resolvePath(directory)]
  return file.ok && root.ok && isUnder(file.path, root.path)
}

function sentence(files: ChangedFile[]): string {
  if (files.length === 0) return 'No file is changed.'
  const counts = new Map<string, number>()
  for (const { status } of files) counts.set(status, (counts.get(status) ?? 0) + 1)
  const parts = [...counts].map(([status, count]) => `${count} ${status.replace('_', ' ')}`)
  return `${files.length} ${files.length === 1 ? 'file is' : 'files are'} changed: ${parts.join(', ')}.`
}

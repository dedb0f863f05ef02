import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { pathArgument } from '../workspace-path.ts'
import { DIFF_FORMAT } from './diff-format.ts'
import { openRepository } from './git-command.ts'
import { refArgument, resolveCommit } from './git-ref.ts'
import { pathspecs } from './git-scope.ts'

export default defineTool({
  name: 'git.show',
  description: `Shows one commit: author, date and message, how many lines it changed in each file (stat), and the changes themselves as a
unified diff (patch), within the paths that the session may use, or only those of one file or directory. A merge is compared with its first
parent. It changes nothing. For the files as they were, apply the diff in mind or use git.diff with a base.`,
  input: z.object({
    ref: refArgument('The commit.').default('HEAD'),
    path: pathArgument('Only this file or directory.').optional(),
    stat: z.boolean().default(true).describe('How many lines changed in each file.'),
    patch: z.boolean().default(true).describe('The changes.'),
  }),
  output: z.object({
    ref: z.string(),
    path: z.string().nullable(),
    show: z.string(),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 30,
  output_limit_kb: 1024,
  policy: { paths: [{ field: 'path', access: 'read' }], refs: ['ref'] },
  primary_output: 'show',
  errors: ['invalid_argument', 'git_repo_error'],
  examples: [
    { title: 'The last commit', args: {} },
    { title: 'What a commit did to one file', args: { ref: 'HEAD~3', path: 'src/main.ts', stat: false } },
  ],
  async handler({ ref, path, stat, patch }, context) {
    const specs = pathspecs(context.session.allowed_paths, path === undefined ? [] : [path])
    const repository = await openRepository(context)
    const commit = await resolveCommit(repository, ref)
    const parts = [...(stat ? ['--stat'] : []), ...(patch ? ['--patch'] : [])]
    const args = [
      'show',
      ...DIFF_FORMAT,
      '--format=medium',
      '--no-mailmap',
      '--no-show-signature',
      '--no-notes',
      '--encoding=UTF-8',
    ]
    args.push('--diff-merges=first-parent', ...(parts.length > 0 ? parts : ['--no-patch']), commit)
    const { stdout, command, exit_code } = await repository.run([...args, '--', ...specs])
    return { output: { ref, path: path ?? null, show: stdout, command }, exit_code }
  },
})

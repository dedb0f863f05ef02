import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { pathArgument } from '../workspace-path.ts'
import { DIFF_FORMAT } from './diff-format.ts'
import { openRepository } from './git-command.ts'
import { refArgument, resolveCommit } from './git-ref.ts'
import { pathspecs } from './git-scope.ts'

export default defineTool({
  name: 'git.diff',
  description: `Shows changes in the repository as a unified diff, within the paths that the session may use: by default the working tree
against the index, with staged the index against HEAD, with base either of them against that commit. Untracked files are not in it
(git.status names them). The diff is in the form that git.apply_patch reads. It changes nothing.`,
  input: z.object({
    staged: z.boolean().default(false).describe('What is staged, instead of the working tree.'),
    paths: z
      .array(pathArgument('A file or directory.'))
      .max(100)
      .default([])
      .describe('Only these files and directories. Empty: all.'),
    base: refArgument('Compare with this commit.').optional(),
  }),
  output: z.object({ diff: z.string(), command: z.array(z.string()) }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 30,
  output_limit_kb: 1024,
  policy: { paths: [{ field: 'paths', access: 'read' }], refs: ['base'] },
  primary_output: 'diff',
  errors: ['invalid_argument', 'git_repo_error'],
  examples: [
    { title: 'All changes that are not staged', args: {} },
    { title: 'One directory against the last commit', args: { base: 'HEAD', paths: ['src'] } },
  ],
  async handler({ staged, paths, base }, context) {
    const specs = pathspecs(context.session.allowed_paths, paths)
    const repository = await openRepository(context)
    const args = ['diff', ...DIFF_FORMAT]
    if (staged) args.push('--cached')
    if (base !== undefined) args.push(await resolveCommit(repository, base))
    const { stdout, command, exit_code } = await repository.run([...args, '--', ...specs])
    return { output: { diff: stdout, command }, exit_code }
  },
})

import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { errors, ToolError } from '../../domain/errors.ts'
import { isAllowed, pathArgument } from '../workspace-path.ts'
import { openRepository, type Repository } from './git-command.ts'
import { identity } from './git-identity.ts'
import { pathspecs } from './git-scope.ts'
import { treeOfWorkspace } from './tree-of-workspace.ts'

export default defineTool({
  name: 'git.commit',
  description: `Commits what is staged, in the name of whom the session belongs to. With paths it stages these files and directories first
(deletions too), with all everything that changed and is not ignored, within the paths of the session. When nothing is staged it fails and
makes no commit. Hooks, signing and content filters (LFS) of the repository do not run. It sends nothing to a remote: use git.push. It
does not amend; look at git.status and git.diff with staged before.`,
  input: z.object({
    message: z
      .string()
      .min(1)
      .max(1024)
      .refine((message) => message.trim() !== '', 'must say something')
      .refine((message) => !message.includes('\0'), 'must not hold a NUL byte')
      .describe('What was done and why. First a line of its own.'),
    all: z.boolean().default(false).describe('Stage everything that changed first (git add --all). Not with paths.'),
    paths: z.array(pathArgument('A file or directory.')).max(100).default([]).describe('Stage these first.'),
  }),
  output: z.object({
    committed: z.boolean(),
    commit: z.string().describe('Its hash.'),
    output: z.string().describe('What git said.'),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'irreversible',
  risk_level: 'medium',
  requires_approval: true,
  state: async ({ all }, context) => (all ? await treeOfWorkspace(context) : null),
  timeout_seconds: 30,
  policy: { paths: [{ field: 'paths', access: 'write' }] },
  primary_output: 'output',
  errors: ['invalid_argument', 'execution_failed', 'git_repo_error'],
  examples: [{ title: 'One file', args: { message: 'Mend the sum', paths: ['src/sum.ts'] } }],
  async handler({ message, all, paths }, context) {
    if (all && paths.length > 0)
      throw new ToolError('invalid_argument', 'all stages everything that changed: set all, or name paths, but not both')
    const allowed = context.session.allowed_paths
    const specs = paths.length > 0 || all ? pathspecs(allowed, all ? [] : paths) : []
    const repository = await openRepository(context)
    if (specs.length > 0) await repository.run(['add', '--all', '--', ...specs], { accept: [0] })
    await requireStaged(repository, allowed)
    const flags = ['--no-verify', '--no-gpg-sign', '--no-post-rewrite', '--no-status', '--cleanup=whitespace', '--file=-']
    const { stdout, stderr, command, exit_code } = await repository.run(['commit', ...flags], {
      stdin: message,
      env: identity(context.principal),
    })
    const { stdout: head } = await repository.run(['rev-parse', '--verify', 'HEAD'])
    return { output: { committed: true, commit: head.trim(), output: `${stdout}${stderr}`, command }, exit_code }
  },
})

/** There is something to commit, and nothing that somebody staged where the session may not write. */
async function requireStaged(repository: Repository, allowedPaths: string[]): Promise<void> {
  const { stdout } = await repository.run([
    'diff',
    '--cached',
    '--name-only',
    '--no-renames',
    '--no-ext-diff',
    '--no-textconv',
    '-z',
  ])
  const staged = stdout.split('\0').filter((path) => path !== '')
  if (staged.length === 0)
    throw new ToolError('execution_failed', 'nothing is staged, so there is nothing to commit: name paths, or set all', {
      exitCode: 1,
    })
  const foreign = staged.filter((path) => !isAllowed(path, allowedPaths))
  if (foreign.length > 0)
    throw errors.policyDenied(
      'path_scope',
      `${foreign.slice(0, 5).join(', ')} is staged, and lies outside of the paths that this session may use`,
    )
}

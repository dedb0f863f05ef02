import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { openRepository, type Repository } from './git-command.ts'
import { isRef, refArgument, resolveCommit } from './git-ref.ts'
import { treeOfWorkspace } from './tree-of-workspace.ts'

export default defineTool({
  name: 'git.checkout',
  description: `Switches the working tree to a branch, or to a commit or tag (HEAD is detached then). With create it makes a new branch of that
name at start_point (default: where HEAD is) and switches to it. A name that only a remote's branch has becomes a local branch that follows
it. Changes that would be lost stop it, unless force says to throw them away. Hooks and content filters of the repository do not run. It
does not restore single files: use git.diff_file and fs.write, or workspace.undo_edit.`,
  input: z.object({
    ref: refArgument('What to switch to; with create, the name of the new branch.'),
    create: z.boolean().default(false).describe('Make a new branch.'),
    start_point: refArgument('Where the new branch begins. Only with create.').optional(),
    force: z.boolean().default(false).describe('Throw away changes that are not committed.'),
  }),
  output: z.object({
    ref: z.string(),
    created: z.boolean().describe('A branch was made.'),
    output: z.string().describe('What git said.'),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: false,
  state: async ({ force }, context) => (force ? await treeOfWorkspace(context) : null),
  approval_reason: ({ force }) => (force ? 'git.checkout with force throws away changes that are not committed' : null),
  timeout_seconds: 30,
  policy: { refs: ['ref', 'start_point'], whole_repository: true },
  primary_output: 'output',
  errors: ['invalid_argument', 'execution_failed', 'git_repo_error'],
  examples: [
    { title: 'To a branch', args: { ref: 'main' } },
    { title: 'A new branch from the last commit', args: { ref: 'fix/sum', create: true } },
  ],
  async handler({ ref, create, start_point, force }, context) {
    if (start_point !== undefined && !create)
      throw new ToolError('invalid_argument', 'start_point says where a new branch begins: set create, or leave it out')
    for (const name of [ref, start_point ?? 'HEAD'])
      if (!isRef(name))
        throw new ToolError('invalid_argument', `${JSON.stringify(name)} is not a ref: name a branch, a tag or a commit`)
    const repository = await openRepository(context)
    if (create) await requireBranchName(repository, ref)
    if (start_point !== undefined) await resolveCommit(repository, start_point)
    const before = await branchExists(repository, ref)
    const target = create ? ['-b', ref, ...(start_point === undefined ? [] : [start_point])] : [ref]
    const flags = ['--no-progress', '--no-recurse-submodules', '--no-overwrite-ignore', ...(force ? ['--force'] : [])]
    const { stdout, stderr, command, exit_code } = await repository.run(['checkout', ...flags, ...target, '--'])
    const created = !before && (await branchExists(repository, ref))
    return { output: { ref, created, output: `${stdout}${stderr}`, command }, exit_code }
  },
})

async function branchExists(repository: Repository, name: string): Promise<boolean> {
  const { exit_code } = await repository.run(['show-ref', '--verify', '--quiet', '--', `refs/heads/${name}`], {
    accept: [0, 1, 128],
  })
  return exit_code === 0
}

async function requireBranchName(repository: Repository, name: string): Promise<void> {
  const { exit_code } = await repository.run(['check-ref-format', `refs/heads/${name}`], { accept: [0, 1, 128] })
  if (exit_code !== 0 || name === 'HEAD')
    throw new ToolError('invalid_argument', `${JSON.stringify(name)} cannot be the name of a branch`)
}

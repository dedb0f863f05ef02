import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { errors } from '../../domain/errors.ts'
import { openRepository, type Repository } from './git-command.ts'
import { requireBranch } from './git-head.ts'
import { checkedRefspec, checkRef, openRemote, readable } from './git-remote.ts'
import { refspecArgument, remoteArgument } from './remote-arguments.ts'

export default defineTool({
  name: 'git.push',
  description: `Pushes one branch or tag to a configured remote, over https: the branch that is checked out to its own name, or what the
refspec says. It cannot be taken back. It does not overwrite what others pushed: force_with_lease replaces the remote branch only if it is
where the last fetch saw it. It deletes nothing on the remote, takes no URL, runs no hooks, and uses no credential but the one that the
session was cloned with. Only for sessions with network.`,
  input: z.object({
    remote: remoteArgument(),
    refspec: refspecArgument('What to push: branch, or source:destination. Absent: the branch that is checked out.').optional(),
    set_upstream: z.boolean().default(false).describe('Let the local branch follow what was pushed.'),
    force_with_lease: z.boolean().default(false).describe('Replace the remote branch if it is where the last fetch saw it.'),
  }),
  output: z.object({
    remote: z.string(),
    refspec: z.string().describe('What was pushed where, in whole names.'),
    pushed: z.boolean(),
    output: z.string().describe('What git and the remote said.'),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'irreversible',
  risk_level: 'high',
  requires_approval: true,
  timeout_seconds: 60,
  policy: {
    remotes: ['remote'],
    refspecs: [{ field: 'refspec', reach: 'destination' }],
    needs_network: true,
    whole_repository: true,
  },
  primary_output: 'output',
  errors: ['execution_failed', 'git_repo_error'],
  examples: [
    { title: 'The current branch', args: { set_upstream: true } },
    { title: 'Under another name', args: { refspec: 'HEAD:review/fix-sum' } },
  ],
  async handler({ remote, refspec, set_upstream, force_with_lease }, context) {
    const asked = refspec === undefined ? null : checkedRefspec(refspec, 'destination', context)
    if (asked?.force)
      throw errors.policyDenied('git_remotes', 'refspec: "+" would overwrite whatever is there: use force_with_lease')
    const repository = await openRepository(context)
    const source = asked?.source ?? (await requireBranch(repository))
    const destination = await destinationOf(repository, asked?.destination ?? source)
    checkRef(destination, context.session.metadata)
    const target = await openRemote(repository, context, remote, 'push')
    const flags = ['--no-verify', '--no-signed', '--no-follow-tags', '--recurse-submodules=no', '--no-progress', '--porcelain']
    if (set_upstream) flags.push('--set-upstream')
    if (force_with_lease) flags.push(`--force-with-lease=${destination}`)
    const pair = `${source}:${destination}`
    const result = await target.run(['push', ...flags, '--', remote, pair])
    const { command, exit_code } = result
    return { output: { remote, refspec: pair, pushed: true, output: readable(result), command }, exit_code }
  },
})

/** HEAD goes to the name of the branch that it stands for. */
async function destinationOf(repository: Repository, name: string): Promise<string> {
  return name === 'HEAD' ? await requireBranch(repository) : name
}

import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { fetchRefs, fetchRefspec } from './fetch-refs.ts'
import { openRepository } from './git-command.ts'
import { checkAllRefs, checkedRefspec, openRemote, readable } from './git-remote.ts'
import { refspecArgument, remoteArgument } from './remote-arguments.ts'

export default defineTool({
  name: 'git.fetch',
  description: `Fetches from a configured remote, over https: all its branches, or what the refspec names, so that git.log, git.diff and
git.branch_list know them as origin/name. The working tree and the branch that is checked out stay as they are: to bring changes in use
git.pull. Only for sessions with network. It takes no URL, and uses no credential but the one that the session was cloned with.`,
  input: z.object({
    remote: remoteArgument(),
    refspec: refspecArgument('What to fetch: branch, or source:destination. Absent: all branches.').optional(),
    prune: z.boolean().default(false).describe("Forget this remote's branches that it has no longer."),
    tags: z.boolean().default(false).describe('Fetch all tags too.'),
  }),
  output: z.object({
    remote: z.string(),
    refspec: z.string().nullable(),
    fetched: z.boolean(),
    output: z.string().describe('What git said: a line for each ref that changed.'),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 60,
  policy: { remotes: ['remote'], refspecs: [{ field: 'refspec', reach: 'source' }], needs_network: true },
  primary_output: 'output',
  errors: ['execution_failed', 'git_repo_error'],
  examples: [{ title: 'What is new', args: { prune: true } }],
  async handler({ remote, refspec, prune, tags }, context) {
    const { metadata } = context.session
    if (refspec === undefined) checkAllRefs('refs/heads/', metadata)
    if (tags) checkAllRefs('refs/tags/', metadata)
    const wanted =
      refspec === undefined
        ? `+refs/heads/*:refs/remotes/${remote}/*`
        : fetchRefspec(remote, checkedRefspec(refspec, 'source', context))
    const repository = await openRepository(context)
    const result = await fetchRefs(await openRemote(repository, context, remote, 'fetch'), [wanted], { prune, tags })
    const { command, exit_code } = result
    return { output: { remote, refspec: refspec ?? null, fetched: true, output: readable(result), command }, exit_code }
  },
})

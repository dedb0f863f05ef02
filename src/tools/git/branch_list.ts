import { z } from 'zod'
import { defineTool } from '../../catalog/define-tool.ts'
import { openRepository } from './git-command.ts'
import { currentBranch } from './git-head.ts'

/** More branches than anybody reads. */
const MOST = 2000

const FORMAT = '--format=%(refname)%00%(upstream:short)%00%(objectname)%00%(symref)'

export default defineTool({
  name: 'git.branch_list',
  description: `Lists the branches of the repository, sorted by name, with the commit that each is at, the branch that it follows, and which
one is checked out: the local ones, with remotes those that were fetched from remotes, with all both. Remote branches are as of the last
fetch: it asks nobody. To make or switch branches use git.checkout. It changes nothing.`,
  input: z.object({
    all: z.boolean().default(false).describe('Local branches and those of remotes.'),
    remotes: z.boolean().default(false).describe('Branches of remotes instead of local ones.'),
  }),
  output: z.object({
    count: z.int(),
    branches: z.array(
      z.object({
        name: z.string().describe('For example "main", or "origin/main".'),
        upstream: z.string().nullable(),
        commit: z.string(),
        current: z.boolean(),
      }),
    ),
    truncated: z.boolean(),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 20,
  errors: ['git_repo_error'],
  examples: [{ title: 'Everything that is known', args: { all: true } }],
  async handler({ all, remotes }, context) {
    const repository = await openRepository(context)
    const kinds = all ? ['refs/heads', 'refs/remotes'] : remotes ? ['refs/remotes'] : ['refs/heads']
    const current = await currentBranch(repository)
    const { stdout, command, exit_code } = await repository.run([
      'for-each-ref',
      FORMAT,
      '--sort=refname',
      `--count=${MOST + 1}`,
      '--',
      ...kinds,
    ])
    const rows = stdout.split('\n').filter((line) => line !== '')
    const branches = rows.slice(0, MOST).flatMap((line) => {
      const [ref = '', upstream = '', commit = '', symref = ''] = line.split('\0')
      // `origin/HEAD` is a name for another branch.
      if (symref !== '' && ref.startsWith('refs/remotes/')) return []
      return { name: ref.replace(/^refs\/(heads|remotes)\//, ''), upstream: upstream || null, commit, current: ref === current }
    })
    const truncated = rows.length > MOST
    return { output: { count: branches.length, branches, truncated, command }, exit_code, truncated }
  },
})

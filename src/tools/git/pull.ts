import { z } from 'zod'
import { defineTool, type ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { fetchRefs, trackingRef } from './fetch-refs.ts'
import { type GitResult, openRepository, type Repository } from './git-command.ts'
import { requireBranch } from './git-head.ts'
import { identity } from './git-identity.ts'
import { checkedRefspec, checkRef, openRemote, readable } from './git-remote.ts'
import { refspecArgument, remoteArgument } from './remote-arguments.ts'

export default defineTool({
  name: 'git.pull',
  description: `Fetches a branch from a configured remote, over https, and brings it into the branch that is checked out: forward where that is
possible, else by a merge, or with rebase by putting the local commits on top. On a conflict, or when changes that are not committed are in
the way, everything stays as it was (but for what was fetched) and the answer names the files. Only for sessions with network. Hooks and
merge programs of the repository do not run. To look before, use git.fetch and git.diff with base.`,
  input: z.object({
    remote: remoteArgument(),
    refspec: refspecArgument(
      "The remote's branch. Absent: the one that the current branch follows, else the one of its name.",
    ).optional(),
    rebase: z.boolean().default(false).describe('Put the local commits on top instead of merging.'),
  }),
  output: z.object({
    remote: z.string(),
    refspec: z.string().describe('The ref that was pulled, as its whole name.'),
    pulled: z.boolean(),
    output: z.string().describe('What git said.'),
    command: z.array(z.string()),
  }),
  scope: 'repo',
  side_effects: 'reversible',
  risk_level: 'medium',
  requires_approval: true,
  timeout_seconds: 60,
  policy: {
    remotes: ['remote'],
    refspecs: [{ field: 'refspec', reach: 'source' }],
    needs_network: true,
    whole_repository: true,
  },
  primary_output: 'output',
  errors: ['invalid_argument', 'execution_failed', 'git_repo_error'],
  examples: [{ title: "Bring others' work in", args: { rebase: true } }],
  async handler({ remote, refspec, rebase }, context) {
    const asked = refspec === undefined ? null : checkedRefspec(refspec, 'source', context)
    if (asked && (asked.destination !== null || asked.force))
      throw new ToolError('invalid_argument', 'refspec: name the one branch to pull; to fetch it elsewhere use git.fetch')
    const repository = await openRepository(context)
    const branch = await requireBranch(repository)
    if (await isMerging(repository))
      throw new ToolError('git_repo_error', 'fatal: a merge has begun and is not finished: end it first', { exitCode: 128 })
    const source = asked?.source ?? (await followed(repository, branch, remote))
    checkRef(source, context.session.metadata)
    const target = await openRemote(repository, context, remote, 'fetch')
    const tracking = trackingRef(remote, source)
    const fetched = await fetchRefs(target, [`+${source}:${tracking}`])
    const { stdout } = await repository.run(['rev-parse', '--verify', '--quiet', '--end-of-options', `${tracking}^{commit}`])
    const env = identity(context.principal)
    const name = source.replace(/^refs\/(heads|tags)\//, '')
    const done = await (rebase
      ? integrate(repository, context, ['rebase', ...REBASE, stdout.trim()], env)
      : integrate(repository, context, ['merge', ...MERGE, `--message=Merge ${name} of ${remote}`, stdout.trim()], env))
    const output = `${readable(fetched)}${readable(done)}`
    return { output: { remote, refspec: source, pulled: true, output, command: done.command }, exit_code: done.exit_code }
  },
})

const MERGE = [
  '--ff',
  '--no-edit',
  '--no-verify',
  '--no-gpg-sign',
  '--no-verify-signatures',
  '--no-autostash',
  '--no-log',
  '--no-progress',
]
const REBASE = [
  '--merge',
  '--no-verify',
  '--no-gpg-sign',
  '--no-autostash',
  '--no-autosquash',
  '--no-fork-point',
  '--no-rebase-merges',
]

/** What the branch follows on this remote; else the branch of its own name. */
async function followed(repository: Repository, branch: string, remote: string): Promise<string> {
  const format = '--format=%(upstream:remotename)%00%(upstream:remoteref)'
  const { stdout } = await repository.run(['for-each-ref', format, '--', branch])
  const [name, ref] = stdout.trim().split('\0')
  return name === remote && ref ? ref : branch
}

/** Merges or rebases, or leaves everything as it was. */
async function integrate(
  repository: Repository,
  { excerpt }: ToolContext,
  args: string[],
  env: Record<string, string>,
): Promise<GitResult> {
  const result = await repository.run(args, { env, accept: [...Array(256).keys()] })
  if (result.exit_code === 0) return result
  const kind = args[0] as string
  const { stdout } = await repository.run(['diff', '--name-only', '--diff-filter=U', '--no-ext-diff', '-z'], {
    accept: [0, 1, 128],
  })
  const conflicts = [...new Set(stdout.split('\0').filter(Boolean))]
  // A rebase that never began has nothing to abort, and says so.
  if (kind === 'rebase') await repository.run(['rebase', '--abort'], { env, accept: [0, 1, 128] })
  else if (await isMerging(repository)) await repository.run(['merge', '--abort'], { env })
  const said = excerpt(`${result.stdout}${result.stderr}`.trim(), 0, 4000)
  const why = conflicts.length > 0 ? `there are conflicts in ${conflicts.slice(0, 20).join(', ')}` : said
  throw new ToolError('execution_failed', `the ${kind} was not possible, and nothing was changed: ${why}`, {
    output: { pulled: false, output: said, conflicts },
    exitCode: result.exit_code,
  })
}

async function isMerging(repository: Repository): Promise<boolean> {
  const { exit_code } = await repository.run(['rev-parse', '--verify', '--quiet', 'MERGE_HEAD'], { accept: [0, 1, 128] })
  return exit_code === 0
}

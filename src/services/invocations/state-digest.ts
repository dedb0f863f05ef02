import type { StateContext, Tool } from '../../catalog/define-tool.ts'
import { canonicalJson, sha256 } from '../../domain/canonical-json.ts'
import { patchPaths } from '../../domain/patch-paths.ts'
import type { ToolMetadata } from '../../domain/tool.ts'

/** Git that reads nothing but the repository's own data and starts no program of its choosing. */
const GIT = [
  'git',
  '--git-dir=.git',
  '--work-tree=.',
  '-c',
  'core.fsmonitor=false',
  '-c',
  'core.hooksPath=/dev/null',
  '--no-pager',
]
const GIT_ENV = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_OPTIONAL_LOCKS: '0' }
/** What a git tool goes by: where HEAD points and what that is, a merge under way, every ref, the index, and where remotes lead. */
const GIT_STATE = [
  ['symbolic-ref', '--quiet', 'HEAD'],
  ['rev-parse', '--verify', '--quiet', 'HEAD'],
  ['rev-parse', '--verify', '--quiet', 'MERGE_HEAD'],
  ['for-each-ref', '--format=%(refname) %(objectname)'],
  ['ls-files', '--stage', '-z'],
  ['config', '--includes', '--list', '-z'],
]

/**
 * A digest of what a call would change or take, as it is now: the files and directories that its args name, for git tools what the
 * repository holds and where its remotes lead, and what the tool itself looks at. A person approves what they saw; when this has
 * changed since, the approval is stale. Null: the call changes nothing that has a state. A call that runs code of the workspace's
 * (a shell, tests, a build) names none of what it will do: what it finds when it runs is what runs.
 * @throws policy_denied for a path that leads out of what is allowed, which only host can see; ToolError for what cannot be looked at
 */
export async function stateDigest(tool: Tool, args: Record<string, unknown>, context: StateContext): Promise<string | null> {
  const { metadata } = tool
  if (metadata.side_effects === 'none') return null
  const state: Record<string, string | null> = {}
  for (const path of await namedPaths(metadata, args, context)) state[`path ${path}`] = await context.sandbox.digest(path)
  // Who approves has seen what the tool was then said to do.
  if (metadata.connector) state['connector'] = metadata.connector.digest
  if (metadata.family === 'git') state['git'] = await gitState(context)
  const own = await tool.state(args, context)
  if (own !== null) state['tool'] = own
  return Object.keys(state).length === 0 ? null : sha256(canonicalJson(state))
}

/** What is read is part of it: a copy of another file is another change. The directory that code is run in is not. */
async function namedPaths(tool: ToolMetadata, args: Record<string, unknown>, { sandbox }: StateContext): Promise<string[]> {
  const { paths, patches, whole_repository, writes_anywhere } = tool.policy
  const runsCode = whole_repository || writes_anywhere
  const named: string[] = []
  for (const { field, access } of paths)
    for (const path of [args[field] ?? []].flat().map(String))
      if (access === 'write' || !runsCode || (await sandbox.stat(path))?.type !== 'dir') named.push(path)
  const patched = patches.flatMap((field) => {
    const parsed = patchPaths(String(args[field] ?? ''))
    return 'paths' in parsed ? parsed.paths : []
  })
  return [...new Set([...named, ...patched])].sort()
}

async function gitState({ sandbox }: StateContext): Promise<string> {
  const outputs: string[] = []
  for (const command of GIT_STATE) {
    const { exit_code, stdout } = await sandbox.run([...GIT, ...command], { env: GIT_ENV, quiet: true, without_secrets: true })
    outputs.push(`${exit_code} ${sha256(stdout)}`)
  }
  return outputs.join(' ')
}

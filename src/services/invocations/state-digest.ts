import type { ToolSandbox } from '../../catalog/define-tool.ts'
import { canonicalJson, sha256 } from '../../domain/canonical-json.ts'
import { ToolError } from '../../domain/errors.ts'
import { patchPaths } from '../../domain/patch-paths.ts'
import type { ToolMetadata } from '../../domain/tool.ts'

/** Files up to this size, in bytes, are compared by content, larger ones by size and time. */
const COMPARED = 1024 * 1024

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

/**
 * A digest of what a call would change, as it is now: the files it would write, and for git tools HEAD and the index. A person
 * approves what they saw; when this has changed since, the approval is stale. Null: the call changes nothing that has a state.
 * @throws policy_denied for a path that leads out of what is allowed, which only host can see
 */
export async function stateDigest(
  tool: ToolMetadata,
  args: Record<string, unknown>,
  sandbox: ToolSandbox,
): Promise<string | null> {
  if (tool.side_effects === 'none') return null
  const state: Record<string, string> = {}
  for (const path of writtenPaths(tool, args)) state[`path ${path}`] = await pathState(path, sandbox)
  // Who approves has seen what the tool was then said to do.
  if (tool.connector) state['connector'] = tool.connector.digest
  if (tool.family === 'git') state['git'] = await gitState(sandbox)
  return Object.keys(state).length === 0 ? null : sha256(canonicalJson(state))
}

function writtenPaths(tool: ToolMetadata, args: Record<string, unknown>): string[] {
  const named = tool.policy.paths.filter(({ access }) => access === 'write').flatMap(({ field }) => args[field] ?? [])
  const patched = tool.policy.patches.flatMap((field) => {
    const parsed = patchPaths(String(args[field] ?? ''))
    return 'paths' in parsed ? parsed.paths : []
  })
  return [...new Set([...named, ...patched].map(String))].sort()
}

async function pathState(path: string, sandbox: ToolSandbox): Promise<string> {
  const entry = await sandbox.stat(path)
  if (!entry) return 'absent'
  const seen = `${entry.type} ${entry.mode}`
  if (entry.type !== 'file' && entry.type !== 'symlink') return `${seen} ${entry.modified_at}`
  try {
    const { sha256: digest, size_bytes } = await sandbox.read(path, { max_bytes: COMPARED })
    return `${seen} ${digest ?? `${size_bytes} ${entry.modified_at}`}`
  } catch (error) {
    // A link that leads nowhere, or to a directory, or a file that went meanwhile: that is its state.
    if (error instanceof ToolError && (error.code === 'not_found' || error.code === 'invalid_argument'))
      return `${seen} ${error.code}`
    throw error
  }
}

async function gitState(sandbox: ToolSandbox): Promise<string> {
  const outputs: string[] = []
  for (const command of [
    ['rev-parse', '--verify', '--quiet', 'HEAD'],
    ['ls-files', '--stage', '-z'],
  ]) {
    const { exit_code, stdout } = await sandbox.run([...GIT, ...command], { env: GIT_ENV, quiet: true, without_secrets: true })
    outputs.push(`${exit_code} ${sha256(stdout)}`)
  }
  return outputs.join(' ')
}

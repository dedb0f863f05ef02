import { errors } from '../../domain/errors.ts'
import type { Refspec } from '../../domain/git-refspec.ts'
import type { GitResult } from './git-command.ts'
import type { Remote } from './git-remote.ts'

/** Where git keeps what it knows of a remote's ref. Branches only: a tag is the same everywhere. */
export function trackingRef(remote: string, ref: string): string {
  if (ref === 'HEAD') return `refs/remotes/${remote}/HEAD-fetched`
  return ref.startsWith('refs/heads/') ? `refs/remotes/${remote}/${ref.slice('refs/heads/'.length)}` : ref
}

/**
 * Fetches just these refspecs, into nothing but what is said here: what the repository's configuration would fetch on the side is
 * switched off.
 */
export async function fetchRefs(
  remote: Remote,
  refspecs: string[],
  { prune = false, tags = false }: { prune?: boolean; tags?: boolean } = {},
): Promise<GitResult> {
  const flags = ['--no-auto-maintenance', '--no-recurse-submodules', '--no-write-fetch-head', '--no-progress', '--refmap=']
  flags.push(prune ? '--prune' : '--no-prune', tags ? '--tags' : '--no-tags')
  return await remote.run(['fetch', ...flags, '--', remote.name, ...refspecs])
}

/**
 * What one refspec of a caller's means to git. Without a destination it goes where a fetch puts it. A branch of one's own moves
 * only forward, and nothing outside of branches, tags and this remote's own refs is written.
 * @throws CloisterError policy_denied
 */
export function fetchRefspec(remote: string, { force, source, destination }: Refspec): string {
  const own = `refs/remotes/${remote}/`
  const into = destination ?? trackingRef(remote, source)
  if (destination !== null && ![own, 'refs/heads/', 'refs/tags/'].some((prefix) => into.startsWith(prefix)))
    throw errors.policyDenied('git_remotes', `refspec: fetch into ${own}, a branch or a tag, not into ${into}`)
  if (force && !into.startsWith(own))
    throw errors.policyDenied('git_remotes', `refspec: with + only refs under ${own} may be overwritten, not ${into}`)
  return `${force || into.startsWith(own) ? '+' : ''}${source}:${into}`
}

/** Keys of a session's metadata that bind what its git tools may exchange. Values: names, separated by commas. Absent: no bounds. */
export const ALLOWED_REMOTES = 'allowed_git_remotes'
export const ALLOWED_REF_PREFIXES = 'allowed_git_ref_prefixes'

export interface Refspec {
  force: boolean
  /** Whole names: `refs/heads/main`, or `HEAD`. */
  source: string
  /** Null: the refspec names one ref only. */
  destination: string | null
}

/** Reads `[+]source[:destination]`. A name without `refs/` is a branch's, so that nothing is left to git's guessing. */
export function parseRefspec(text: string): Refspec | { error: string } {
  const named = JSON.stringify(text.slice(0, 600))
  if (text.length > 512) return { error: `${named} is longer than 512 characters` }
  const force = text.startsWith('+')
  const sides = (force ? text.slice(1) : text).split(':')
  if (sides.length > 2) return { error: `${named} has more than one ":"` }
  for (const side of sides) {
    if (!isRefName(side)) return { error: `${named} is not a refspec: write branch, or source:destination, without wildcards` }
  }
  const [source = '', destination] = sides
  if (destination === 'HEAD') return { error: `${named}: a destination is a branch or a tag, not HEAD` }
  return { force, source: fullRef(source), destination: destination === undefined ? null : fullRef(destination) }
}

/** @returns why this is no name of a configured remote that the session may use, or null */
export function remoteRefusal(remote: string, metadata: Record<string, string>): string | null {
  const named = JSON.stringify(remote.slice(0, 200))
  if (!/^[A-Za-z0-9][\w.-]{0,99}$/.test(remote) || remote.includes('..') || remote.endsWith('.lock'))
    return `${named} is not the name of a remote: name one that the repository has configured, no URL and no path`
  const allowed = listed(metadata, ALLOWED_REMOTES)
  if (allowed === null || allowed.includes(remote)) return null
  return `${named} is not among the remotes of this session: ${allowed.join(', ') || 'it has none'}`
}

/** @returns why the session may not exchange this ref (a whole name), or null */
export function refRefusal(ref: string, metadata: Record<string, string>): string | null {
  const prefixes = listed(metadata, ALLOWED_REF_PREFIXES)
  if (prefixes === null || prefixes.some((prefix) => ref.startsWith(prefix))) return null
  return `${ref} is not among the refs of this session: ${prefixes.map((prefix) => `${prefix}*`).join(', ') || 'it has none'}`
}

/** Does the session's metadata say which refs may be exchanged? */
export function bindsRefs(metadata: Record<string, string>): boolean {
  return listed(metadata, ALLOWED_REF_PREFIXES) !== null
}

/** Null: not bound. An empty value allows nothing. */
function listed(metadata: Record<string, string>, key: string): string[] | null {
  if (!Object.hasOwn(metadata, key)) return null
  return (metadata[key] ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

function fullRef(name: string): string {
  return name === 'HEAD' || name.startsWith('refs/') ? name : `refs/heads/${name}`
}

/** After git-check-ref-format(1). */
function isRefName(name: string): boolean {
  if (name === '' || name === '@' || name.startsWith('-') || /[\0-\x20\x7f~^:?*[\\]|@\{|\.\.|\/\/|\.$/.test(name)) return false
  return name.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'))
}

import { lookup } from 'node:dns/promises'
import { realpath, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { isAbsolute, sep } from 'node:path'
import { errors } from '../../domain/errors.ts'
import { isPrivateAddress } from '../../domain/ip-address.ts'

export interface CodeSourcesOptions {
  /** Directories from which `source_repo_path` may copy. Empty: it is not offered. */
  sourceRoots: readonly string[]
  /** Directories of our own that no source may overlap. */
  ownDirectories: readonly string[]
  /** Hosts from which `repo_url` may clone over https; an entry with a scheme is an origin, loopback and private ones included. */
  repoHosts: readonly string[]
}

/** Where a session's code may come from. */
export class CodeSources {
  readonly #options: CodeSourcesOptions

  constructor(options: CodeSourcesOptions) {
    this.#options = options
  }

  /**
   * The real path of a source directory, if it may be copied.
   * @throws invalid_argument; the same answer for what does not exist and what is outside of the roots
   */
  async admitDirectory(path: string): Promise<string> {
    if (this.#options.sourceRoots.length === 0)
      throw errors.invalidArgument('source_repo_path is not offered by this server: CLOISTER_SOURCE_ROOTS names no directory')
    const refusal = errors.invalidArgument('source_repo_path must be an existing directory under one of CLOISTER_SOURCE_ROOTS')
    if (!isAbsolute(path) || path.includes('\0')) throw refusal
    const real = await realpath(path).catch(() => null)
    if (real === null || !(await stat(real)).isDirectory()) throw refusal
    const roots = await Promise.all(this.#options.sourceRoots.map((root) => realpath(root).catch(() => null)))
    if (!roots.some((root) => root !== null && contains(root, real))) throw refusal
    for (const own of this.#options.ownDirectories) {
      const realOwn = await realpath(own).catch(() => own)
      if (contains(realOwn, real) || contains(real, realOwn))
        throw errors.invalidArgument("source_repo_path must not overlap the server's own directories")
    }
    return real
  }

  /**
   * A repository's URL, if its host is on the list. An entry is a host name, or an origin with its scheme.
   * @throws invalid_argument
   */
  admitRepository(repoUrl: string): URL {
    const url = URL.canParse(repoUrl) ? new URL(repoUrl) : null
    if (!url) throw errors.invalidArgument('repo_url must be a URL, like https://github.com/owner/name.git')
    if (url.username || url.password)
      throw errors.invalidArgument('repo_url must not hold credentials: name a secret in repo_auth_secret')
    const listed = this.#options.repoHosts.some((entry) => url.protocol === 'https:' && entry.toLowerCase() === url.host)
    if (!listed && !this.#isListedOrigin(url))
      throw errors.invalidArgument(
        `repo_url must be https, from a host in CLOISTER_REPO_HOSTS (${this.#options.repoHosts.join(', ') || 'none'})`,
      )
    return url
  }

  /**
   * The address that git must use, as curl's `--resolve` writes it, so that a name cannot lead to another one between our check and
   * its look-up. Null: an administrator listed just that origin, so whatever it resolves to is meant.
   * @throws conflict for a host that resolves to nothing, or to an address that is not of the public internet
   */
  async pinAddress(url: URL): Promise<string | null> {
    if (this.#isListedOrigin(url)) return null
    const hostname = url.hostname.replace(/^\[|\]$/g, '')
    const addresses = isIP(hostname) ? [{ address: hostname }] : await lookup(hostname, { all: true }).catch(() => [])
    if (addresses.length === 0) throw errors.conflict(`the host ${hostname} could not be resolved`)
    if (addresses.some(({ address }) => isPrivateAddress(address)))
      throw errors.conflict(`the host ${hostname} resolves to a private address, which CLOISTER_REPO_HOSTS does not list`)
    return `${hostname}:${url.port || '443'}:${addresses.map(({ address }) => (isIP(address) === 6 ? `[${address}]` : address)).join(',')}`
  }

  #isListedOrigin(url: URL): boolean {
    return this.#options.repoHosts.some(
      (entry) => entry.includes('://') && URL.canParse(entry) && new URL(entry).origin === url.origin,
    )
  }
}

function contains(parent: string, child: string): boolean {
  return child === parent || child.startsWith(parent.endsWith(sep) ? parent : `${parent}${sep}`)
}

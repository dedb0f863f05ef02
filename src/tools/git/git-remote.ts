import type { ToolContext } from '../../catalog/define-tool.ts'
import { errors, ToolError } from '../../domain/errors.ts'
import { bindsRefs, parseRefspec, type Refspec, refRefusal, remoteRefusal } from '../../domain/git-refspec.ts'
import type { GitResult, Repository } from './git-command.ts'

/** Of `http.*` and `http.<url>.*`, what changes how data travels, but not to whom, by which certificate, or what is sent along. */
const HARMLESS_HTTP = /\.(postbuffer|version|lowspeedlimit|lowspeedtime|maxrequests|minsessions|maxrequestbuffer)$/

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

export interface Remote {
  name: string
  /** Git with the one transport that this remote needs, and the session's credential for it if it has one. */
  run(args: string[]): Promise<GitResult>
}

/**
 * A configured remote. Only https leads there (and http to this machine itself, for tests and for gateways on it), nothing of the
 * repository's configuration changes the way, and a credential goes to nobody but the origin that the session was cloned from.
 * @param direction a remote may push elsewhere than it fetches from
 * @throws CloisterError policy_denied; ToolError git_repo_error when there is no such remote, or it cannot be used
 */
export async function openRemote(
  repository: Repository,
  { session, excerpt }: ToolContext,
  name: string,
  direction: 'fetch' | 'push',
): Promise<Remote> {
  const refusal = remoteRefusal(name, session.metadata)
  if (refusal !== null) throw errors.policyDenied('git_remotes', `remote: ${refusal}`)
  if (session.network === 'none') throw errors.policyDenied('network', 'this session has no network')
  const suspicious = repository.keys.find((key) => key.startsWith('http.') && !HARMLESS_HTTP.test(key))
  if (suspicious !== undefined)
    throw unusable(`the repository's configuration sets ${suspicious}, which is not used here: remove it`)
  const urls = await remoteUrls(repository, name, direction)
  const protocols = [...new Set(urls.map((url) => admitted(url, name)))]
  const origin = urls.length === 1 ? (urls[0] as URL).origin : null
  const credential = origin === null ? null : credentialFor(origin, session.repository)
  return {
    name,
    run: async (args) => {
      const result = await repository.run(args, {
        env: { GIT_ALLOW_PROTOCOL: protocols.join(':') },
        accept: [...Array(256).keys()],
        config: credential ? [credential] : [],
        with_secrets: credential !== null,
      })
      if (result.exit_code === 0) return result
      const said = excerpt(readable(result).trim(), 0, 4000)
      const code = result.exit_code === 1 ? 'execution_failed' : result.exit_code === 129 ? 'git_usage_error' : 'git_repo_error'
      throw new ToolError(code, said || `git ${args[0]} ended with exit code ${result.exit_code}`, { exitCode: result.exit_code })
    },
  }
}

/** What git said, without the credentials that an address may hold. */
export function readable({ stdout, stderr }: { stdout: string; stderr: string }): string {
  return `${stdout}${stderr}`.replace(/(\bhttps?:\/\/)[^/@\s]+@/gi, '$1')
}

/**
 * A refspec that the session may use.
 * @throws CloisterError policy_denied
 */
export function checkedRefspec(text: string, reach: 'source' | 'destination', { session }: ToolContext): Refspec {
  const refspec = parseRefspec(text)
  if ('error' in refspec) throw errors.policyDenied('git_remotes', `refspec: ${refspec.error}`)
  checkRef(reach === 'source' ? refspec.source : (refspec.destination ?? refspec.source), session.metadata)
  return refspec
}

/** @throws CloisterError policy_denied when the session may not exchange this ref (a whole name) */
export function checkRef(ref: string, metadata: Record<string, string>): void {
  const refusal = refRefusal(ref, metadata)
  if (refusal !== null) throw errors.policyDenied('git_remotes', refusal)
}

/** @throws CloisterError policy_denied when all refs of a kind are asked for by a session that is bound to some */
export function checkAllRefs(prefix: string, metadata: Record<string, string>): void {
  if (bindsRefs(metadata)) checkRef(prefix, metadata)
}

async function remoteUrls(repository: Repository, name: string, direction: 'fetch' | 'push'): Promise<URL[]> {
  const args = ['remote', 'get-url', '--all', ...(direction === 'push' ? ['--push'] : []), '--', name]
  const found = await repository.run(args, { accept: [0, 2, 128] })
  if (found.exit_code !== 0) {
    const { stdout } = await repository.run(['remote'])
    const known = stdout.trim().split('\n').filter(Boolean).slice(0, 20).join(', ')
    throw unusable(`there is no remote ${JSON.stringify(name)}; ${known === '' ? 'none is configured' : `there are ${known}`}`)
  }
  return found.stdout
    .trim()
    .split('\n')
    .map((text) => {
      const url = URL.parse(text)
      // `host:path` and `ext::program` parse as something else or not at all; git would see more in them than we do.
      if (!url || !/^https?:\/\//i.test(text)) throw unusable(`the remote ${name} is not reached by https`)
      return url
    })
}

function admitted(url: URL, name: string): string {
  if (url.protocol === 'https:') return 'https'
  if (url.protocol === 'http:' && LOOPBACK.test(url.hostname)) return 'http'
  throw unusable(`the remote ${name} is not reached by https`)
}

/** A helper of our own for one origin. The value stays in the environment of the command; its name is all that stands here. */
function credentialFor(origin: string, source: ToolContext['session']['repository']): [string, string] | null {
  if (!source?.auth_secret || URL.parse(source.url)?.origin !== origin) return null
  if (!/^[A-Za-z_]\w*$/.test(source.auth_secret)) return null
  const answer = `printf 'username=x-access-token\\npassword=%s\\n' "$${source.auth_secret}"`
  return [`credential.${origin}.helper`, `!f() { if [ "$1" = get ]; then ${answer}; fi; }; f`]
}

function unusable(message: string): ToolError {
  return new ToolError('git_repo_error', `fatal: ${message}`, { exitCode: 128 })
}

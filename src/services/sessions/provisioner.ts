import { sha256 } from '../../domain/canonical-json.ts'
import { errors, ToolError } from '../../domain/errors.ts'
import type { Invocation } from '../../domain/invocation.ts'
import { WORKSPACE } from '../../domain/path.ts'
import { makeRedactor, type Redactor, redactBytes } from '../../domain/redaction.ts'
import type { Session } from '../../domain/session.ts'
import type { ExecResult, Sandbox } from '../../sandbox/sandbox.ts'
import type { VolumeStore } from '../../sandbox/sandbox-driver.ts'
import { HostError } from '../../sandbox/sandbox-errors.ts'
import type { Invocations } from '../contracts.ts'
import type { CodeSources } from './code-sources.ts'
import { archiveOf } from './source-archive.ts'

/** Setup, clone and copy may take this long. */
const DEADLINE_MS = 10 * 60 * 1000
/** What they may print before they are killed, in bytes. */
const OUTPUT_LIMIT = 16 * 1024 * 1024
/** Characters of the log that stand in a failed session's `state_reason`. */
const TAIL = 2000

export interface ProvisionerDependencies {
  volumes: VolumeStore
  invocations: Pick<Invocations, 'recordSystem'>
  sources: CodeSources
}

/** `/session/code` holds a repository of its own: our files keep out of its way. */
export function hasRepository(session: Pick<Session, 'repo_url' | 'source_repo_path'>): boolean {
  return session.repo_url !== null || session.source_repo_path !== null
}

/** Where a session's instructions and setup script lie in its volume. */
export function sessionFile(
  session: Pick<Session, 'repo_url' | 'source_repo_path'>,
  name: 'instructions.md' | 'setup.sh',
): string {
  return hasRepository(session) ? `${WORKSPACE}/.cloister/${name}` : `${WORKSPACE}/${name}`
}

/**
 * Fills a new volume and runs setup: each a recorded invocation of the system, with logs and a deadline. Whatever touches the
 * volume happens inside a sandbox; the server itself opens no path in it.
 */
export class Provisioner {
  readonly #deps: ProvisionerDependencies

  constructor(deps: ProvisionerDependencies) {
    this.#deps = deps
  }

  /** Clones with depth 1 in a sandbox that sees nothing but the new volume and the network. */
  async clone(session: Session, sandbox: Sandbox, secrets: Record<string, string>): Promise<void> {
    const url = this.#deps.sources.admitRepository(session.repo_url as string)
    const pinned = await this.#deps.sources.pinAddress(url)
    const token = session.repo_auth_secret === null ? null : secrets[session.repo_auth_secret]
    if (token === undefined)
      throw errors.invalidArgument(`repo_auth_secret names ${session.repo_auth_secret}, which is none of the session's secrets`)
    const git = [
      'git',
      ...[
        'core.hooksPath=/dev/null',
        'core.fsmonitor=false',
        'submodule.recurse=false',
        'http.followRedirects=false',
        'core.symlinks=true',
      ].flatMap(config),
      ...(pinned ? config(`http.curloptResolve=${pinned}`) : []),
    ]
    const env = {
      GIT_ALLOW_PROTOCOL: url.protocol.slice(0, -1),
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_TERMINAL_PROMPT: '0',
      // Askpass is a program, not a value: the token travels in the environment of this one command.
      GIT_ASKPASS: token === null ? '/bin/false' : '/tmp/cloister-askpass',
      ...(token === null ? {} : { CLOISTER_GIT_TOKEN: token }),
    }
    const commands = [
      // What an interrupted clone left behind. The volume holds nothing else yet.
      ['find', '.', '-mindepth', '1', '-delete'],
      ...(token === null ? [] : [['/bin/sh', '-c', WRITE_ASKPASS]]),
      ...checkoutCommands(git, url.href, session.repo_ref),
    ]
    await this.#recorded(session, 'session.clone', sandbox, { repo_url: url.href, repo_ref: session.repo_ref }, commands, env)
  }

  /** Copies the source, if there is one, and writes instructions and setup from staging. Safe to repeat. */
  async provision(session: Session, sandbox: Sandbox): Promise<void> {
    if (session.source_repo_path !== null) await this.#copySource(session, sandbox)
    const staged = await this.#deps.volumes.readStaging(session.id)
    if (hasRepository(session) && Object.keys(staged).length > 0) await this.#prepareRepository(sandbox, session.id)
    for (const name of ['instructions.md', 'setup.sh'] as const) {
      const content = staged[name]
      if (content === undefined) continue
      await this.#writeNew(sandbox, session, name, content)
    }
    await sandbox.acknowledge(`provision-${session.id}`)
  }

  /** Overwrites nothing but what an interrupted provisioning wrote itself. */
  async #writeNew(sandbox: Sandbox, session: Session, name: 'instructions.md' | 'setup.sh', content: string): Promise<void> {
    const path = sessionFile(session, name)
    for (const [attempt, expected] of [null, sha256(content)].entries()) {
      try {
        await sandbox.write({
          id: `provision-${session.id}/${name}/${attempt}`,
          invocation_id: `provision-${session.id}`,
          path,
          roots: [WORKSPACE],
          content_base64: Buffer.from(content).toString('base64'),
          create_parents: true,
          expect_sha256: expected,
          mode: name === 'setup.sh' ? '0755' : '0644',
        })
        return
      } catch (error) {
        if (!(error instanceof HostError)) throw error
        if (error.code !== 'changed' || attempt > 0)
          throw errors.conflict(`${path} could not be written: the repository has something of its own there (${error.message})`)
      }
    }
  }

  /** @throws conflict with the log's tail when setup exits with anything but 0 */
  async setup(session: Session, sandbox: Sandbox): Promise<void> {
    const script = `.${sessionFile(session, 'setup.sh').slice(WORKSPACE.length)}`
    await this.#recorded(session, 'session.setup', sandbox, {}, [[script]], {})
  }

  async #copySource(session: Session, sandbox: Sandbox): Promise<void> {
    const source = await this.#deps.sources.admitDirectory(session.source_repo_path as string)
    const archive = archiveOf(source)
    const extract = ['tar', '--extract', '--file=-', '--no-same-owner']
    try {
      await this.#recorded(session, 'session.copy_source', sandbox, {}, [extract], {}, archive.stream)
      await archive.done
    } finally {
      archive.abort()
    }
  }

  /** Refuses a repository that tracks `.cloister`, or whose `.git` is not a plain directory; hides our files from its git. */
  async #prepareRepository(sandbox: Sandbox, sessionId: string): Promise<void> {
    const git = await sandbox.stat({ path: `${WORKSPACE}/.git`, roots: [WORKSPACE] })
    if (!git) return
    if (git.type !== 'dir')
      throw errors.conflict("the repository's .git is not a plain directory (a worktree or a submodule): clone it instead")
    // By a command, because no file request writes under .git.
    const result = await sandbox.exec({
      id: `exclude-${sessionId}`,
      invocation_id: `provision-${sessionId}`,
      argv: ['/bin/sh', '-c', WRITE_EXCLUDE],
      cwd: WORKSPACE,
      without_secrets: true,
      timeout_ms: 10_000,
      max_output_bytes: 64 * 1024,
    })
    if (result.exit_code !== 0)
      throw errors.conflict(`the repository's .git/info/exclude could not be written: ${result.stderr.toString().trim()}`)
  }

  /** Runs commands one after the other as one recorded invocation; the first that fails ends it. */
  async #recorded(
    session: Session,
    name: 'session.setup' | 'session.clone' | 'session.copy_source',
    sandbox: Sandbox,
    output: Record<string, unknown>,
    commands: string[][],
    env: Record<string, string>,
    stdin?: NodeJS.ReadableStream,
  ): Promise<void> {
    const deadline = Date.now() + DEADLINE_MS
    const failures: ExecResult[] = []
    const record = await this.#deps.invocations.recordSystem(session, name, async (io) => {
      for (const [index, argv] of commands.entries()) {
        const result = await sandbox.exec(
          {
            id: `${io.invocationId}/${index + 1}`,
            invocation_id: io.invocationId,
            argv,
            cwd: WORKSPACE,
            env,
            without_secrets: name !== 'session.setup',
            timeout_ms: Math.max(1, deadline - Date.now()),
            max_output_bytes: OUTPUT_LIMIT,
          },
          { onOutput: io.output, ...(stdin ? { stdin } : {}) },
        )
        if (result.output_limited) io.outputCut()
        if (result.exit_code !== 0) {
          failures.push(result)
          throw new ToolError(
            result.timed_out ? 'timeout' : result.output_limited ? 'output_too_large' : 'execution_failed',
            `${argv[0]} failed`,
            {
              output: { ...output, exit_code: result.exit_code },
              exitCode: result.exit_code ?? undefined,
            },
          )
        }
      }
      return { exit_code: 0, output: { ...output, exit_code: 0 } }
    })
    await sandbox.acknowledge(record.id)
    if (record.status !== 'succeeded') {
      const redactor = makeRedactor(await this.#deps.volumes.readSecrets(session.id))
      throw errors.conflict(describeFailure(name, failures[0] ?? null, record, redactor), { invocation_id: record.id })
    }
  }
}

const WRITE_ASKPASS = `umask 077 && cat > /tmp/cloister-askpass <<'END'
#!/bin/sh
case "$1" in Username*) echo x-access-token ;; *) printf '%s\\n' "$CLOISTER_GIT_TOKEN" ;; esac
END
chmod 700 /tmp/cloister-askpass`

const WRITE_EXCLUDE = `set -e
test ! -L .git && test ! -L .git/info && test ! -L .git/info/exclude
if git --git-dir=.git -c core.fsmonitor=false ls-files --cached -- .cloister | grep -q .; then echo 'it tracks .cloister' >&2; exit 1; fi
mkdir -p .git/info
grep -qsxF '/.cloister/' .git/info/exclude || printf '/.cloister/\\n' >> .git/info/exclude`

function config(setting: string): string[] {
  return ['-c', setting]
}

/** A branch, a tag or the default branch by `git clone`; a commit, which clone cannot name, by fetching just that. */
function checkoutCommands(git: string[], url: string, ref: string | null): string[][] {
  const shallow = ['--depth=1', '--no-tags', '--no-recurse-submodules']
  if (ref === null || !/^[0-9a-f]{40}$/.test(ref))
    return [
      [
        ...git,
        'clone',
        '--quiet',
        ...shallow,
        '--single-branch',
        '--template=',
        ...(ref === null ? [] : [`--branch=${ref}`]),
        '--',
        url,
        '.',
      ],
    ]
  return [
    [...git, 'init', '--quiet', '--template=', '.'],
    [...git, 'remote', 'add', '--', 'origin', url],
    [...git, 'fetch', '--quiet', ...shallow, '--', 'origin', ref],
    [...git, 'checkout', '--quiet', '--detach', 'FETCH_HEAD', '--'],
  ]
}

function describeFailure(name: string, failure: ExecResult | null, record: Invocation, redactor: Redactor): string {
  const step =
    { 'session.setup': 'setup', 'session.clone': 'the clone', 'session.copy_source': 'the copy of the source' }[name] ?? name
  if (!failure) return `${step} did not end: ${record.error?.message ?? record.status}`
  const why = failure.timed_out
    ? 'ran into its deadline'
    : failure.output_limited
      ? 'printed too much'
      : failure.spawn_error
        ? `could not be started (${failure.spawn_error})`
        : failure.signal
          ? `was killed by ${failure.signal}`
          : `exited with ${failure.exit_code}`
  const said = [failure.stdout, failure.stderr].map((bytes) => redactBytes(redactor, bytes, failure.output_limited).toString())
  const log = said.join('').trim().slice(-TAIL)
  return `${step} ${why}${log ? `. The end of its log:\n${log}` : ''}`
}

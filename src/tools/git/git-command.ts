import type { CommandResult, ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { overridesFor } from './git-overrides.ts'

export interface GitOptions {
  stdin?: string | Uint8Array
  /** Exit codes that are an answer and not a failure. Default: only 0. */
  accept?: number[]
  env?: Record<string, string>
  /** Settings that have the last word, after what makes the repository's own harmless. */
  config?: [string, string][]
  /** Only for what needs one of them: a program that git starts could read the rest. */
  with_secrets?: boolean
}

export interface GitResult extends CommandResult {
  /** As it ran, for the tool's output. */
  command: string[]
}

/**
 * Git in the session's workspace, with nothing of the repository's configuration able to start a program, and no network but what
 * a caller opens (see `git-remote.ts`).
 * The overrides go through the environment, where a driver's name may hold any character; git gives them the last word.
 */
export interface Repository {
  /** Keys that the repository's configuration sets, as git writes them: section and last part in lower case. */
  keys: string[]
  run(args: string[], options?: GitOptions): Promise<GitResult>
}

/** Relative: the working directory is the workspace, and the explicit pair wins over `core.worktree` and whatever lies above. */
const GIT = ['git', '--no-pager', '--git-dir=.git', '--work-tree=.']

const ENVIRONMENT = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  // Reading must not write the index.
  GIT_OPTIONAL_LOCKS: '0',
  // Commits and files as they are, not as refs/replace says.
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_PAGER: 'cat',
  GIT_EDITOR: 'false',
  GIT_SEQUENCE_EDITOR: 'false',
  GIT_ASKPASS: 'false',
  SSH_ASKPASS: 'false',
  GIT_SSH_COMMAND: 'false',
  // A partial clone fetches missing objects by any transport its configuration names, `ext::` included.
  GIT_ALLOW_PROTOCOL: 'none',
  GIT_NO_LAZY_FETCH: '1',
  LC_ALL: 'C.UTF-8',
}

/**
 * Looks at the repository before git is let loose on it.
 * @throws ToolError git_repo_error when there is none, or when `.git` is not a plain directory (a file or a link would lead git,
 *   and its configuration, elsewhere)
 */
export async function openRepository({ sandbox }: Pick<ToolContext, 'sandbox'>): Promise<Repository> {
  const run = async (argv: string[], env: Record<string, string>, options: GitOptions = {}): Promise<CommandResult> =>
    await sandbox.run(argv, {
      env: { ...ENVIRONMENT, ...env },
      ...(!options.with_secrets && { without_secrets: true }),
      quiet: true,
      ...(options.stdin !== undefined && { stdin: options.stdin }),
    })

  // None of these starts a program of the repository's, wherever `.git` leads.
  const [kind, inside, listed] = await Promise.all([
    run(['stat', '-c', '%F', '.git'], {}),
    run([...GIT, 'rev-parse', '--git-dir'], overridesFor([])),
    run([...GIT, 'config', '--includes', '--list', '--name-only', '-z'], overridesFor([])),
  ])
  if (kind.exit_code !== 0)
    throw new ToolError('git_repo_error', 'fatal: not a git repository: the workspace has no .git directory', { exitCode: 128 })
  if (kind.stdout.trim() !== 'directory')
    throw new ToolError('git_repo_error', `fatal: .git is a ${kind.stdout.trim()}; only a plain .git directory is used`, {
      exitCode: 128,
    })
  // Without this check `git diff` would fall back to comparing any two files when .git is no repository.
  if (inside.exit_code !== 0) throw failure(inside, 'rev-parse')
  if (listed.exit_code !== 0) throw failure(listed, 'config')
  const keys = listed.stdout.split('\0').filter((key) => key !== '')
  const overrides = overridesFor(keys)

  return {
    keys,
    async run(args, options = {}) {
      const command = [...GIT, ...args]
      const settings = options.config ? overridesFor(keys, options.config) : overrides
      const result = await run(command, { ...settings, ...options.env }, options)
      if (!(options.accept ?? [0]).includes(result.exit_code)) throw failure(result, args[0] ?? '')
      return { ...result, command }
    },
  }
}

/**
 * Git as a program that knows no repository, whatever lies in the workspace: files are bytes for it, and nothing is configured.
 * Not every command works so.
 */
export function withoutRepository({ sandbox }: ToolContext): Pick<Repository, 'run'> {
  const env = { ...ENVIRONMENT, ...overridesFor([]), GIT_DIR: '/nonexistent', GIT_WORK_TREE: '/nonexistent' }
  return {
    async run(args, options = {}) {
      const command = ['git', '--no-pager', ...args]
      const result = await sandbox.run(command, {
        env: { ...env, ...options.env },
        without_secrets: true,
        quiet: true,
        ...(options.stdin !== undefined && { stdin: options.stdin }),
      })
      if (!(options.accept ?? [0]).includes(result.exit_code)) throw failure(result, args[0] ?? '')
      return { ...result, command }
    },
  }
}

function failure(result: CommandResult, subcommand: string): ToolError {
  const code = result.exit_code === 128 ? 'git_repo_error' : result.exit_code === 129 ? 'git_usage_error' : 'execution_failed'
  const said = result.stderr.trim().slice(0, 4000)
  return new ToolError(code, said || `git ${subcommand} ended with exit code ${result.exit_code}`, { exitCode: result.exit_code })
}

import { ToolError } from '../../domain/errors.ts'
import type { Repository } from './git-command.ts'

/** The whole name of the branch that is checked out; null: HEAD is detached. */
export async function currentBranch(repository: Repository): Promise<string | null> {
  const { exit_code, stdout } = await repository.run(['symbolic-ref', '--quiet', 'HEAD'], { accept: [0, 1] })
  return exit_code === 0 ? stdout.trim() : null
}

/** @throws ToolError git_repo_error when no branch is checked out */
export async function requireBranch(repository: Repository): Promise<string> {
  const branch = await currentBranch(repository)
  if (branch?.startsWith('refs/heads/')) return branch
  throw new ToolError(
    'git_repo_error',
    'fatal: no branch is checked out (HEAD is detached): make one with git.checkout and create',
    {
      exitCode: 128,
    },
  )
}

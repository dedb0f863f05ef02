import { z } from 'zod'
import { ToolError } from '../../domain/errors.ts'
import type { Repository } from './git-command.ts'

/** The schema of an argument that names a commit. Its syntax is a question for policy. */
export function refArgument(description: string) {
  return z
    .string()
    .min(1)
    .max(256)
    .describe(`${description} A branch, a tag, a commit, or one counted from it (HEAD~2); no ranges.`)
}

/** Whether this can be nothing but the name of a commit: no option, no range, no `:path`, no control character. */
export function isRef(ref: string): boolean {
  return ref.length <= 256 && /^[\w@][\w@./{}~^+=,#%!-]*$/u.test(ref) && !ref.includes('..') && !ref.includes('//')
}

/**
 * The commit that a ref names, so that what follows gets 40 hexadecimal digits and nothing else.
 * @throws ToolError invalid_argument, or git_repo_error when there is no such commit
 */
export async function resolveCommit(repository: Repository, ref: string): Promise<string> {
  if (!isRef(ref))
    throw new ToolError('invalid_argument', `${JSON.stringify(ref)} is not a ref: name a branch, a tag or a commit`)
  const result = await repository.run(['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`], {
    accept: [0, 1, 128],
  })
  const commit = result.stdout.trim()
  if (result.exit_code !== 0 || !/^[0-9a-f]{40,64}$/.test(commit))
    throw new ToolError('git_repo_error', `fatal: there is no commit ${JSON.stringify(ref)} in this repository`, {
      exitCode: 128,
    })
  return commit
}

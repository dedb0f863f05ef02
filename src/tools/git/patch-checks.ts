import { z } from 'zod'
import type { ToolContext } from '../../catalog/define-tool.ts'
import { errors, ToolError } from '../../domain/errors.ts'
import { type PatchFile, parsePatch } from '../../domain/patch-paths.ts'
import { inGitDirectory } from '../../domain/path.ts'
import { isAllowed } from '../workspace-path.ts'
import type { Repository } from './git-command.ts'

/** Without a file, git apply reads its standard input. */
export const APPLY = ['apply', '-p1', '--whitespace=nowarn', '--verbose']

/** The schema of an argument that is a unified diff: it must name a file, and be read by us as git reads it. */
export function patchArgument() {
  return z
    .string()
    .min(1)
    .max(1048576)
    .superRefine((patch, { addIssue }) => {
      const parsed = parsePatch(patch)
      if ('error' in parsed) addIssue(parsed.error)
    })
    .describe('The unified diff.')
}

/** A model often leaves the last line end off, and git calls such a patch corrupt. */
export function withLineEnd(patch: string): string {
  return patch.endsWith('\n') ? patch : `${patch}\n`
}

/** @throws ToolError invalid_argument */
export function patchFiles(patch: string): PatchFile[] {
  const parsed = parsePatch(patch)
  if ('error' in parsed) throw new ToolError('invalid_argument', parsed.error)
  return parsed.files
}

/**
 * Every path that the patch names, sorted. Policy has checked the same before; a tool does not rely on being called through it.
 * @throws CloisterError policy_denied; ToolError invalid_argument for what would be no plain file
 */
export function checkedPaths(patch: string, allowedPaths: string[]): string[] {
  const named = patchFiles(patch)
  for (const file of named) {
    if (file.modes.some((mode) => mode !== 0o100644 && mode !== 0o100755)) {
      const path = file.new_path ?? file.old_path
      throw new ToolError(
        'invalid_argument',
        `${path}: a patch may leave behind files of mode 100644 or 100755 only, no links or submodules`,
      )
    }
  }
  const paths = [...new Set(named.flatMap((file) => [file.old_path, file.new_path]).filter((path) => path !== null))].sort()
  for (const path of paths) {
    if (inGitDirectory(path)) throw errors.policyDenied('git_directory', `${path} belongs to git: nothing is written under .git`)
    if (!isAllowed(path, allowedPaths))
      throw errors.policyDenied('path_scope', `the patch names ${path}, which is not among the paths that this session may use`)
  }
  return paths
}

/** If git reads a path in the patch that our parser did not see, the checks above meant nothing. */
export async function agreeWithGit(git: Pick<Repository, 'run'>, patch: string, known: string[]): Promise<void> {
  const result = await git.run([...APPLY, '--numstat', '-z'], { stdin: patch, accept: [0, 1, 128] })
  if (result.exit_code !== 0)
    throw new ToolError('invalid_argument', `git cannot read the patch: ${result.stderr.trim().slice(0, 2000)}`)
  const unseen = result.stdout
    .split('\0')
    .map((entry) => entry.split('\t').slice(2).join('\t'))
    .filter((path) => path !== '' && !known.includes(path))
  if (unseen.length > 0)
    throw new ToolError('invalid_argument', `the patch is ambiguous about ${unseen.join(', ')}: write it as "git diff" does`)
}

/** A patch without mode lines could still change where an existing link leads. */
export async function refuseLinks(patch: string, { sandbox }: ToolContext): Promise<void> {
  for (const file of patchFiles(patch)) {
    if (file.old_path === null || file.new_path === null) continue
    const entry = await sandbox.stat(file.old_path)
    if (entry?.type === 'symlink')
      throw new ToolError('invalid_argument', `${file.old_path} is a symbolic link: a patch must not change links`)
  }
}

/** @param details what the failed invocation's output holds besides what git said */
export function doesNotApply(said: string, exitCode: number, details: Record<string, unknown>): ToolError {
  const shown = said.trim().slice(0, 4000)
  return new ToolError('execution_failed', `the patch does not apply, and nothing was changed. Read the files again. ${shown}`, {
    output: { applied: false, output: shown, changed_paths: [], ...details },
    exitCode,
  })
}

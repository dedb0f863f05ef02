import type { ToolContext, ToolSandbox } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { openRepository, type Repository } from '../git/git-command.ts'
import { APPLY, doesNotApply, patchFiles } from '../git/patch-checks.ts'
import { shownPath } from '../workspace-path.ts'

/** Host gives at most this much of a file at a time, and what is merged is no larger. */
const LARGEST = 1024 * 1024

export interface MergedPatch {
  /** A patch that fits the files as they are, as git names it in the sandbox. */
  file: string
  said: string
  discard(): Promise<void>
}

/**
 * Merges a patch with the files as they are, three ways, in an index of its own: the working tree and the repository's index are
 * not touched, and a conflict leaves nothing behind. Files are read by host and given to git, which would follow links.
 *
 * The number of commands depends on the patch alone: run again after a crash, each finds its own outcome, whatever the files are then.
 * @throws ToolError execution_failed on a conflict; git_repo_error without a repository; invalid_argument for too large a file
 */
export async function mergedPatch(patch: string, changed: string[], context: ToolContext): Promise<MergedPatch> {
  const { sandbox, invocation_id } = context
  const repository = await openRepository(context)
  const index = `/tmp/${invocation_id}.index`
  const file = `/tmp/${invocation_id}.patch`
  const env = { GIT_INDEX_FILE: index }
  const discard = async () => {
    try {
      await sandbox.run(['rm', '-f', '--', index, file], { without_secrets: true, quiet: true })
    } catch (error) {
      // What ended the call ends this too. They go with the sandbox.
      context.log(`${index} and ${file} are left behind: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  try {
    const entries = await snapshot(repository, sandbox, oldPaths(patch, changed))
    await repository.run(['update-index', '-z', '--index-info'], { env, stdin: entries })
    const { stdout: tree } = await repository.run(['write-tree'], { env })
    const merged = await repository.run([...APPLY, '--cached', '--3way'], { env, stdin: patch, accept: [0, 1, 128] })
    if (merged.exit_code !== 0) throw doesNotApply(merged.stderr, merged.exit_code, { strategy: 'apply' })
    const form = [
      '--binary',
      '--full-index',
      '--no-renames',
      '--no-ext-diff',
      '--no-textconv',
      '--src-prefix=a/',
      '--dst-prefix=b/',
    ]
    await repository.run(['diff', '--cached', ...form, `--output=${file}`, tree.trim()], { env })
    return { file, said: merged.stderr, discard }
  } catch (error) {
    await discard()
    throw error
  }
}

function oldPaths(patch: string, changed: string[]): string[] {
  const old = new Set(patchFiles(patch).map((file) => file.old_path))
  return changed.filter((path) => old.has(path))
}

/** The files as they are, as lines for `git update-index`. */
async function snapshot(repository: Repository, sandbox: ToolSandbox, paths: string[]): Promise<string> {
  let entries = ''
  for (const path of paths) {
    const found = await content(sandbox, path)
    const { stdout: hash } = await repository.run(['hash-object', '-w', '--stdin'], { stdin: found?.bytes ?? '' })
    if (found) entries += `${found.mode} ${hash.trim()}\t${path}\0`
  }
  return entries
}

async function content(sandbox: ToolSandbox, path: string): Promise<{ bytes: Buffer; mode: string } | null> {
  const entry = await sandbox.stat(path)
  if (entry?.type !== 'file') return null
  if (entry.size_bytes > LARGEST)
    throw new ToolError('invalid_argument', `${shownPath(path)} has ${entry.size_bytes} bytes; at most ${LARGEST} can be merged`)
  const { content: bytes } = await sandbox.read(path, { max_bytes: LARGEST })
  return { bytes, mode: Number.parseInt(entry.mode, 8) & 0o100 ? '100755' : '100644' }
}

import { z } from 'zod'
import type { ToolSandbox } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { pathArgument, shownPath } from '../workspace-path.ts'

/** The schema of a path that is handed to a toolchain's command, where a leading "-" would make it an option. */
export function pathTargetArgument(description: string) {
  return pathArgument(description).regex(/^[^-\s]/, 'must not start with "-" or a blank')
}

/**
 * Is it there, and does it lie where it says? A command opens its target by name, through whatever symbolic links lie on the
 * way; host opens it here as tools have to. (Between the two, code in the sandbox may swap it: see the threat model.)
 *
 * @throws ToolError not_found; CloisterError policy_denied for what leads out of the allowed paths
 */
export async function requireTarget(sandbox: ToolSandbox, path: string): Promise<'file' | 'dir'> {
  const entry = await sandbox.stat(path)
  if (!entry) throw new ToolError('not_found', `${shownPath(path)} does not exist`)
  if (entry.type === 'dir') return 'dir'
  if (entry.type === 'file') return 'file'
  if (entry.type !== 'symlink') throw new ToolError('invalid_argument', `${shownPath(path)} is neither a file nor a directory`)
  try {
    await sandbox.list(path, { recursive: false, max_entries: 1, skip_git: false })
    return 'dir'
  } catch (error) {
    if (!(error instanceof ToolError && error.code === 'invalid_argument')) throw error
  }
  await sandbox.read(path, { max_bytes: 1 })
  return 'file'
}

/** The same for a file that must be at the root for a toolchain to have anything to do. @throws ToolError execution_failed */
export async function requireAtRoot(sandbox: ToolSandbox, ...names: string[]): Promise<string> {
  for (const name of names) if (await sandbox.stat(name)) return name
  throw new ToolError(
    'execution_failed',
    `there is no ${names.join(' or ')} at the root of the workspace: this tool is for projects that have one`,
  )
}

/** The schema of a file name without any directory. */
export function outputNameArgument() {
  return z
    .string()
    .min(1)
    .max(120)
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/, 'must be a plain file name: letters, digits, ".", "_" and "-"')
}

import { z } from 'zod'
import type { ToolSandbox } from '../../catalog/define-tool.ts'
import { requireTarget } from '../toolchain/toolchain-target.ts'

/** The schema of what a toolchain's command is limited to. Never an option; policy checks it as a path. */
export function targetArgument(description: string) {
  return z
    .string()
    .min(1)
    .max(256)
    .regex(/^[^-\s]/, 'must not start with "-" or a blank')
    .optional()
    .describe(description)
}

/** For commands that compile, check or pack. */
export const BUILD_TARGET =
  'Only this: a package for go, a package of the workspace for rust, a file or directory for python, a CMake or make target or a .c file for c, a module for java; for node what its script takes.'

/**
 * A target that is a file or directory is opened by host first, which settles where it leads; anything else is a name (of a
 * package, a class, a test), which only the toolchain knows.
 * @throws CloisterError policy_denied for what leads out of the workspace
 */
export async function settleTarget(target: string | undefined, sandbox: ToolSandbox): Promise<void> {
  if (target === undefined) return
  // A test within a file, as pytest names it.
  const path = target.split('::')[0] || target
  if ((await sandbox.stat(path)) !== null) await requireTarget(sandbox, path)
}

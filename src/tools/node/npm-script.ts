import type { ToolContext } from '../../catalog/define-tool.ts'
import { npmScripts } from '../repo/npm-scripts.ts'
import { type Diagnostic, note } from '../toolchain/parse-diagnostics.ts'
import { pathTargetArgument, requireAtRoot, requireTarget } from '../toolchain/toolchain-target.ts'

export function npmTargetArgument() {
  return pathTargetArgument('Handed to the script after "--", for scripts that take a file or directory.').optional()
}

/**
 * The command that runs a script of package.json, and what is to be said when there is no such script (npm then does nothing).
 *
 * @throws ToolError execution_failed without a package.json, or with one that is none; not_found for a target that is not there
 */
export async function planNpmScript(
  script: string,
  target: string | undefined,
  context: ToolContext,
): Promise<{ commands: string[][]; missing: Diagnostic[] }> {
  await requireAtRoot(context.sandbox, 'package.json')
  const scripts = await npmScripts(context)
  if (target !== undefined) await requireTarget(context.sandbox, target)
  const command = ['npm', 'run', script, '--if-present', ...(target === undefined ? [] : ['--', target])]
  const missing =
    scripts[script] === undefined
      ? [note(`package.json has no script "${script}": there was nothing to run`, 'package.json')]
      : []
  return { commands: [command], missing }
}

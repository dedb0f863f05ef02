import type { ToolContext } from '../../catalog/define-tool.ts'
import { requireAtRoot, requireTarget } from '../toolchain/toolchain-target.ts'

const ALL_BELOW = /\/?\.\.\.$/

/**
 * Packages of the module as go takes them: a directory, or all below one ("./sub/..."). Never an import path, which could name
 * anything that go can fetch. Default: all.
 *
 * @throws ToolError execution_failed without a go.mod; not_found; CloisterError policy_denied
 */
export async function goPackages(target: string | undefined, { sandbox }: ToolContext): Promise<string> {
  await requireAtRoot(sandbox, 'go.mod')
  if (target === undefined) return './...'
  const below = ALL_BELOW.test(target)
  const directory = target.replace(ALL_BELOW, '') || '.'
  await requireTarget(sandbox, directory)
  // Without "./" it would be an import path.
  const local = /^\.{0,2}\//.test(directory) || directory === '.' ? directory : `./${directory}`
  return below ? `${local}/...` : local
}

export const GO_TARGET = 'A directory of the module with a package, or all packages below it ("./sub/..."). Default: all.'

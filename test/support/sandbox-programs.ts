import type { TestContext } from 'vitest'
import type { Tool } from '../../src/catalog/define-tool.ts'
import type { ToolWorkspace } from './tool-workspace.ts'

/**
 * Skips a test where a program is missing. Asked of the sandbox itself: what is on its PATH counts, not what the developer has in
 * the home directory.
 */
export async function needsProgram(
  context: TestContext,
  workspace: ToolWorkspace,
  tool: Tool,
  ...probe: string[]
): Promise<void> {
  const { sandbox } = workspace.context(tool)
  const there = await sandbox.run(probe, { quiet: true }).then(
    ({ exit_code }) => exit_code === 0,
    () => false,
  )
  if (!there) context.skip(`${probe.join(' ')} does not run in the sandbox`)
}

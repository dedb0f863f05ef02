import type { ToolSandbox } from '../../catalog/define-tool.ts'
import { CloisterError, ToolError } from '../../domain/errors.ts'

/**
 * A text file of the workspace, read by host. Null: there is none.
 *
 * @throws ToolError execution_failed for one that is larger; CloisterError policy_denied for one that a link leads out to
 */
export async function readText(sandbox: ToolSandbox, path: string, mostBytes: number): Promise<string | null> {
  try {
    const { content, size_bytes } = await sandbox.read(path, { max_bytes: mostBytes })
    if (size_bytes > mostBytes)
      throw new ToolError('execution_failed', `${path} is larger than ${mostBytes} bytes, and is not read`)
    return content.toString()
  } catch (error) {
    if (error instanceof ToolError && error.code === 'not_found') return null
    throw error
  }
}

/** The same for a file whose name another file gave: whatever is wrong with it, there is nothing to be learned from it. */
export async function readTextIfAllowed(sandbox: ToolSandbox, path: string, mostBytes: number): Promise<string | null> {
  try {
    return await readText(sandbox, path, mostBytes)
  } catch (error) {
    const useless = error instanceof ToolError && (error.code === 'execution_failed' || error.code === 'invalid_argument')
    if (useless || (error instanceof CloisterError && error.code === 'policy_denied')) return null
    throw error
  }
}

import { z } from 'zod'
import type { ToolContext } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'

const MANIFEST = z.object({ scripts: z.record(z.string(), z.string()).default({}) })

/**
 * The scripts of the package.json at the root.
 * @throws ToolError execution_failed when it cannot be read as one
 */
export async function npmScripts({ sandbox }: ToolContext): Promise<Record<string, string>> {
  const { content } = await sandbox.read('package.json', { max_bytes: 1024 * 1024 })
  try {
    const { scripts } = MANIFEST.parse(JSON.parse(content.toString()))
    return Object.assign(Object.create(null), scripts)
  } catch (error) {
    throw new ToolError('execution_failed', 'package.json is not JSON with scripts that are texts', { cause: error })
  }
}

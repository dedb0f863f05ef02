import { isForeseen } from '../../src/catalog/define-tool.ts'
import type { ToolErrorCode } from '../../src/domain/errors.ts'
import type { ToolMetadata } from '../../src/domain/tool.ts'
import type { Answer } from './server-process.ts'

/** What a tool that ran ended with; null: it succeeded, or was refused before. */
export function errorOfTool({ status, body }: Answer): string | null {
  return status === 200 ? (body?.invocation?.error?.code ?? null) : null
}

/** The same if the tool does not declare it, and it is none that every tool may end with. */
export function undeclaredError(tool: Pick<ToolMetadata, 'errors'>, answer: Answer): string | null {
  const code = errorOfTool(answer)
  return code === null || isForeseen({ code: code as ToolErrorCode, sandboxFault: false }, tool) ? null : code
}

import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { ToolMetadata } from '../../domain/tool.ts'
import { PolicySetError } from '../cedar/policy-files.ts'
import type { OfflineTool } from './offline-decider.ts'

/** What is looked at of a description that a server of ours gave: the rest is taken as it is. */
const described = z.looseObject({
  name: z.string(),
  family: z.string(),
  input_schema: z.record(z.string(), z.unknown()),
  policy: z.looseObject({}),
  connector: z.looseObject({ name: z.string() }).optional(),
})

/**
 * The tools of connectors among tools that a server listed (`GET /v1/sessions/{id}/tools`): a catalog without a server has only
 * Cloister's own.
 */
export function describedTools(tools: readonly ToolMetadata[]): OfflineTool[] {
  return tools
    .filter(({ connector }) => connector !== undefined)
    .map((metadata) => {
      const input = z.fromJSONSchema(metadata.input_schema as Parameters<typeof z.fromJSONSchema>[0])
      return {
        metadata,
        approvalReason: () => null,
        parse: (args) => {
          const parsed = input.safeParse(args)
          if (parsed.success) return { args: parsed.data as Record<string, unknown> }
          return { problem: parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'args'}: ${message}`).join('; ') }
        },
      }
    })
}

/** From a file that `cloister tool list SESSION --json` wrote. @throws PolicySetError */
export function readDescribedTools(path: string): ToolMetadata[] {
  const unusable = (reason: string) => new PolicySetError([{ file: path, line: null, reason }])
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw unusable(
      error instanceof SyntaxError ? 'it is not JSON' : `it cannot be read (${(error as NodeJS.ErrnoException).code})`,
    )
  }
  const parsed = z.object({ tools: z.array(described) }).safeParse(content)
  if (!parsed.success) throw unusable('it is not what `cloister tool list SESSION --json` prints')
  return parsed.data.tools as unknown as ToolMetadata[]
}

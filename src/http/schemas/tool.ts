import { z } from 'zod'
import { briefDescription } from '../../domain/brief-description.ts'
import { COMMON_TOOL_ERRORS, OWN_TOOL_ERRORS } from '../../domain/errors.ts'
import type { ToolMetadata } from '../../domain/tool.ts'
import { jsonObject } from './common.ts'

const compact = {
  name: z.string(),
  family: z.string(),
  description: z.string(),
  scope: z.enum(['repo', 'workspace', 'cluster', 'external']),
  side_effects: z.enum(['none', 'reversible', 'irreversible']),
  risk_level: z.enum(['low', 'medium', 'high']),
  requires_approval: z.boolean(),
}

/** In bytes of UTF-8. With it a row of our own tools is below 240 bytes, and all of them together below 20 KiB. */
const COMPACT_DESCRIPTION = 72

export const compactToolSchema = z
  .object({
    ...compact,
    description: z.string().describe(`The first sentence, in at most ${COMPACT_DESCRIPTION} bytes.`),
  })
  .meta({ id: 'CompactTool', description: 'A tool without its schemas, small enough for the context of a model.' })

/** What `?detail=compact` answers of a tool. */
export function compactTool(tool: ToolMetadata): z.output<typeof compactToolSchema> {
  return compactToolSchema.parse({ ...tool, description: briefDescription(tool.description, COMPACT_DESCRIPTION) })
}

const statisticsSchema = z.object({
  window_days: z.number().int(),
  calls: z.number().int(),
  succeeded: z.number().int(),
  failed: z.number().int(),
  denied: z.number().int(),
  success_rate: z.number().nullable(),
  p95_duration_ms: z.number().nullable(),
})

export const toolSchema = z
  .object({
    ...compact,
    input_schema: jsonObject().describe('JSON Schema.'),
    output_schema: jsonObject().describe('JSON Schema.'),
    idempotency: z.enum(['guaranteed', 'best-effort', 'none']),
    constraints: z.object({
      timeout_seconds: z.number(),
      max_retries: z.number().int(),
      output_limit_kb: z.number(),
    }),
    cost_hint: z.enum(['low', 'medium', 'high']),
    policy: jsonObject().describe('Which args are paths, patches, git refs, command arguments.'),
    observability: z.object({ trace_name: z.string(), span_name: z.string() }),
    primary_output: z.string().nullable(),
    errors: z
      .array(z.enum(OWN_TOOL_ERRORS))
      .describe(`Codes that a call may end with, besides those of every tool: ${COMMON_TOOL_ERRORS.join(', ')}.`),
    examples: z.array(z.object({ title: z.string(), args: jsonObject() })),
    connector: z
      .object({ name: z.string(), tool: z.string(), digest: z.string(), refused: z.string().nullable() })
      .optional()
      .describe('Where it comes from, when it is not our own; `refused`: why nobody may call it now.'),
    statistics: statisticsSchema
      .nullable()
      .describe("How calls of it ended, of all sessions of the session's tenant; null: nobody called it in that window."),
  })
  .meta({ id: 'Tool', description: 'One capability that a session may use.' })

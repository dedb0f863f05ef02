import { z } from 'zod'
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

export const compactToolSchema = z.object(compact).meta({ id: 'CompactTool', description: 'A tool without its schemas.' })

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
    examples: z.array(z.object({ title: z.string(), args: jsonObject() })),
  })
  .meta({ id: 'Tool', description: 'One capability that a session may use.' })

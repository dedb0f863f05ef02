import { z } from 'zod'
import { jsonObject, time } from './common.ts'

const digest = z.string().describe('SHA-256 of the list of tools, in the order of their names.')

export const connectorSchema = z
  .object({
    name: z.string(),
    kind: z.enum(['stdio', 'http']),
    target: z.string().describe('The command, or the URL.'),
    state: z
      .enum(['unreviewed', 'reviewed', 'changed'])
      .describe('`unreviewed`: it has no tools here. `changed`: its tools are refused until they are reviewed again.'),
    reason: z.string().nullable(),
    review: z.object({ digest, reviewed_by: z.string(), reviewed_at: time() }).nullable(),
    flagged_at: time().nullable(),
  })
  .meta({ id: 'Connector', description: 'An MCP server of the configuration.' })

export const differencesSchema = z.array(
  z.union([
    z.object({ kind: z.enum(['added', 'removed']), tool: z.string() }),
    z.object({
      kind: z.literal('changed'),
      tool: z.string(),
      fields: z.array(z.enum(['name', 'title', 'description', 'input_schema', 'output_schema', 'annotations'])),
    }),
  ]),
)

export const connectorListSchema = z
  .object({
    digest,
    tools: z.array(
      z.object({
        listed: z
          .object({
            name: z.string(),
            title: z.string().nullable(),
            description: z.string().nullable(),
            input_schema: jsonObject(),
            output_schema: jsonObject().nullable(),
            annotations: jsonObject().nullable(),
          })
          .describe('As its server describes it. These are the words of a stranger: look at them, and do not believe them.'),
        name: z.string().nullable().describe('Its name here; null: it is not one of our tools.'),
        problem: z.string().nullable().describe('Why it is not.'),
        declared: z
          .object({
            scope: z.enum(['repo', 'workspace', 'cluster', 'external']),
            side_effects: z.enum(['none', 'reversible', 'irreversible']),
            risk_level: z.enum(['low', 'medium', 'high']),
            requires_approval: z.boolean(),
            timeout_seconds: z.number(),
            output_limit_kb: z.number(),
          })
          .nullable()
          .describe('What the configuration says of it; null: it does not let it in.'),
      }),
    ),
    missing: z.array(z.string()).describe('Names that the configuration lets in and the server does not list.'),
  })
  .meta({ id: 'ConnectorList', description: 'The tools that a connector lists, and what they are here.' })

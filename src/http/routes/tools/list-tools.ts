import { z } from 'zod'
import type { App } from '../../app-type.ts'
import { definedFields } from '../../defined-fields.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { sessionParams } from '../../schemas/common.ts'
import { responds } from '../../schemas/error.ts'
import { compactTool, compactToolSchema, toolSchema } from '../../schemas/tool.ts'

export function listTools(app: App, { invocations }: AppDependencies): void {
  app.get(
    '/v1/sessions/:session_id/tools',
    {
      schema: {
        operationId: 'listTools',
        tags: ['tools'],
        summary: 'List the tools that this session may use',
        description: 'Sorted by name.',
        params: sessionParams,
        querystring: z.strictObject({
          detail: z.enum(['full', 'compact']).default('full'),
          risk: z.enum(['low', 'medium', 'high']).optional(),
          side_effects: z.enum(['none', 'reversible', 'irreversible']).optional(),
          scope: z.enum(['repo', 'workspace', 'cluster', 'external']).optional(),
          family: z.string().min(1).max(64).optional(),
        }),
        response: responds({ 200: z.object({ tools: z.array(z.union([toolSchema, compactToolSchema])) }) }, 403, 404),
      },
    },
    async (request) => {
      const { detail, ...filter } = request.query
      const tools = await invocations.tools(request.caller, request.params.session_id, definedFields(filter))
      if (detail === 'compact') return { tools: tools.map(compactTool) }
      const statistics = await invocations.toolStatistics(request.caller, request.params.session_id)
      return { tools: tools.map((tool) => toolSchema.parse({ ...tool, statistics: statistics.get(tool.name) ?? null })) }
    },
  )
}

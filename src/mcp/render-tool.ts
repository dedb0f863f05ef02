import type { Tool } from '@modelcontextprotocol/server'
import type { ToolMetadata } from '../domain/tool.ts'
import type { ToolNames } from '../domain/tool-names.ts'

/**
 * A tool as MCP clients see it. Hints say what the catalog says: `openWorldHint` that it reaches beyond the sandbox, `destructiveHint`
 * that what it changes cannot be taken back. What needs a person's approval says so in its description, because there is no hint for it.
 */
export function renderTool(tool: ToolMetadata, names: ToolNames): Tool {
  const approval = tool.requires_approval ? ' A person must approve each call: the answer says where.' : ''
  return {
    name: names.toModel(tool.name),
    title: tool.name,
    description: `${tool.description}${approval}`,
    inputSchema: tool.input_schema as Tool['inputSchema'],
    outputSchema: tool.output_schema as NonNullable<Tool['outputSchema']>,
    annotations: {
      title: tool.name,
      readOnlyHint: tool.side_effects === 'none',
      destructiveHint: tool.side_effects === 'irreversible',
      idempotentHint: tool.idempotency === 'guaranteed',
      openWorldHint: tool.policy.needs_network || tool.scope === 'cluster' || tool.scope === 'external',
    },
  }
}

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Catalog } from '../src/catalog/catalog.ts'
import { loadCatalog } from '../src/catalog/load-catalog.ts'
import { COMMON_TOOL_ERRORS } from '../src/domain/errors.ts'
import type { ToolMetadata } from '../src/domain/tool.ts'

/** Where the committed copy is. */
export const TOOLS_FILE = fileURLToPath(new URL('../docs/tools.md', import.meta.url))

const HEAD = `# Tools

What a session can do, and all that it can do: every call goes through the same gate, is checked by policy, and is recorded.
Generated from \`src/tools/\` by \`scripts/generate-tools-doc.ts\`. Model providers and MCP clients see the names with \`_\` in place of \`.\`.

Relative paths start at \`/session/code\`; absolute ones must lie under it or under \`/session/data\`. \`!\` marks an argument that must be given.

Each tool names the errors that a call of it may end with. Besides, and so not said there, a call of any tool may end with
${COMMON_TOOL_ERRORS.map((code) => `\`${code}\``).join(', ')} (the first: the sandbox's git
is older than an option that the tool gives it), and with \`execution_failed\` when a program cannot be started in the sandbox or is killed there. Before a tool runs it
may be refused: \`invalid_argument\` for what does not fit its schema, \`policy_denied\` (also later, for a link that leads out of what the
session may use), \`approval_required\`, \`rate_limited\`, \`sandbox_unavailable\`, \`store_unavailable\`.
`

interface JsonSchema {
  type?: string | string[]
  enum?: string[]
  anyOf?: JsonSchema[]
  items?: JsonSchema
  properties?: Record<string, JsonSchema>
  required?: string[]
  description?: string
  default?: unknown
  minimum?: number
  maximum?: number
  maxLength?: number
  maxItems?: number
}

/** The page as it is committed. */
export async function generateToolsDoc(): Promise<string> {
  return renderToolsDoc(await loadCatalog())
}

/** A table of all tools, then each with its arguments and its output. Depends on nothing but the catalog. */
export function renderToolsDoc(catalog: Catalog): string {
  const tools = catalog.list().map((tool) => tool.metadata)
  const rows = tools.map((tool) => {
    const approval = tool.requires_approval ? 'yes' : ''
    return `| [\`${tool.name}\`](#${anchor(tool.name)}) | ${tool.scope} | ${tool.side_effects} | ${tool.risk_level} | ${approval} | ${tool.constraints.timeout_seconds} |`
  })
  const table = [
    '| tool | scope | side effects | risk | needs approval | deadline (s) |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
  return `${HEAD}\n${table}\n${tools.map(section).join('')}`
}

function section(tool: ToolMetadata): string {
  const { timeout_seconds, max_retries, output_limit_kb } = tool.constraints
  const facts = [
    `${tool.scope}, side effects ${tool.side_effects}, risk ${tool.risk_level}, ${tool.requires_approval ? 'needs approval' : 'no approval'}`,
    `idempotency ${tool.idempotency}, cost ${tool.cost_hint}, ${timeout_seconds} s, ${max_retries} retries, ${output_limit_kb} KiB of output inline`,
    ...(tool.policy.needs_setting === null ? [] : [`offered only by servers with \`${tool.policy.needs_setting}=1\``]),
    ...(tool.policy.needs_network ? ['only for sessions with network'] : []),
  ]
  const input = tool.input_schema as JsonSchema
  const output = tool.output_schema as JsonSchema
  const args = Object.entries(input.properties ?? {}).map(([name, schema]) => {
    const must = input.required?.includes(name) ? '!' : ''
    const fallback = schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``
    return `| \`${name}\`${must} | ${cell(typeOf(schema))} | ${cell(fallback)} | ${cell(schema.description ?? '')} |`
  })
  const argTable =
    args.length > 0 ? ['| argument | type | default | |', '|---|---|---|---|', ...args].join('\n') : 'No arguments.'
  const outputs = Object.entries(output.properties ?? {}).map(([name, schema]) => {
    const optional = output.required?.includes(name) ? '' : '?'
    return `\`${name}${optional}\` ${typeOf(schema)}${schema.description ? ` (${schema.description.replace(/\.$/, '')})` : ''}`
  })
  const errors =
    tool.errors.length > 0 ? `Errors: ${tool.errors.map((code) => `\`${code}\``).join(', ')}.` : 'No errors of its own.'
  const examples = tool.examples.map(({ title, args: given }) => `- ${title}: \`${JSON.stringify(given)}\``)
  return `\n## ${tool.name}\n\n${tool.description}\n\n${facts.join('; ')}.\n\n${argTable}\n\nOutput: ${outputs.join(', ')}.\n\n${errors}\n\n${examples.join('\n')}\n`
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ')
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' or ')
  if (schema.type === 'array')
    return `list of ${typeOf(schema.items ?? {})}${schema.maxItems === undefined ? '' : `, at most ${schema.maxItems}`}`
  if (schema.type === 'object' && schema.properties) {
    const members = Object.entries(schema.properties).map(([name, member]) => `${name} ${typeOf(member)}`)
    return `{${members.join(', ')}}`
  }
  if (schema.type === 'integer' || schema.type === 'number') return `${schema.type}${range(schema)}`
  if (schema.type === 'string' && schema.maxLength !== undefined) return `string, at most ${schema.maxLength} characters`
  return [schema.type ?? 'anything'].flat().join(' or ')
}

/** What JSON Schema says of any integer of ECMAScript is no limit of ours. */
function range({ minimum, maximum }: JsonSchema): string {
  const low = minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER ? minimum : undefined
  const high = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? maximum : undefined
  if (low === undefined && high === undefined) return ''
  return high === undefined ? ` from ${low}` : ` ${low ?? ''} to ${high}`
}

function anchor(name: string): string {
  return name.replaceAll('.', '')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

if (import.meta.main) {
  writeFileSync(TOOLS_FILE, await generateToolsDoc())
  console.log(`wrote ${TOOLS_FILE}`)
}

import { z } from 'zod'
import type { ListedTool } from '../domain/connector.ts'
import { ConnectorFault } from './connector-fault.ts'

/** Of one server. More is nobody's to review. */
export const MOST_TOOLS = 256
export const LIST_BYTES = 1024 * 1024
const MOST_PAGES = 64
const DEEPEST = 32

const record = z.record(z.string(), z.unknown())
const listed = z.object({
  name: z.string().min(1).max(1024),
  title: z.string().optional(),
  description: z.string().optional(),
  inputSchema: record,
  outputSchema: record.optional(),
  annotations: record.optional(),
})
const kept = z.object({
  name: listed.shape.name,
  title: z.string().nullable(),
  description: z.string().nullable(),
  input_schema: record,
  output_schema: record.nullable(),
  annotations: record.nullable(),
}) satisfies z.ZodType<ListedTool>

/**
 * What a server lists, page by page, as it is kept and compared. All of it or nothing: half a list reviewed is none.
 * @param page asks for a page; null: the first
 * @throws ConnectorFault `unfit` for a list that is too long, too large, endless, or not a list of tools
 */
export async function readToolList(
  page: (cursor: string | null) => Promise<{ tools: unknown; nextCursor?: unknown }>,
): Promise<ListedTool[]> {
  const list = new ToolList()
  let cursor: string | null = null
  for (let pages = 0; pages < MOST_PAGES; pages++) {
    const answer: { tools: unknown; nextCursor?: unknown } = await page(cursor)
    if (!Array.isArray(answer.tools)) throw unfit('its answer is not a list of tools')
    for (const tool of answer.tools) {
      const { name, title, description, inputSchema, outputSchema, annotations } = parsed(listed, tool)
      list.add({
        name,
        title: title ?? null,
        description: description ?? null,
        input_schema: inputSchema,
        output_schema: outputSchema ?? null,
        annotations: annotations ?? null,
      })
    }
    if (answer.nextCursor === undefined || answer.nextCursor === null) return list.tools
    if (typeof answer.nextCursor !== 'string') throw unfit('the cursor of its list is not text')
    cursor = answer.nextCursor
  }
  throw unfit(`its list does not end within ${MOST_PAGES} pages`)
}

/** The same of a list that comes out of a sandbox. @throws ConnectorFault `unfit` */
export function checkToolList(tools: readonly unknown[]): ListedTool[] {
  const list = new ToolList()
  for (const tool of tools) list.add(parsed(kept, tool))
  return list.tools
}

class ToolList {
  readonly tools: ListedTool[] = []
  readonly #names = new Set<string>()
  #bytes = 0

  add(tool: ListedTool): void {
    if (this.#names.has(tool.name)) throw unfit(`it lists ${JSON.stringify(tool.name.slice(0, 100))} twice`)
    this.#names.add(tool.name)
    this.#bytes += Buffer.byteLength(JSON.stringify(tool))
    if (this.#bytes > LIST_BYTES) throw unfit(`its tools are described in more than ${LIST_BYTES / 1024} KiB`)
    this.tools.push(tool)
    if (this.tools.length > MOST_TOOLS) throw unfit(`it lists more than ${MOST_TOOLS} tools`)
  }
}

function parsed<T>(schema: z.ZodType<T>, tool: unknown): T {
  const result = isDeep(tool) ? null : schema.safeParse(tool)
  if (!result?.success) throw unfit('it lists something that is not a tool, or a schema that is nested too deeply')
  return result.data
}

/** Without recursion: what is walked comes from a stranger. */
function isDeep(value: unknown): boolean {
  const stack = [{ value, depth: 1 }]
  for (let top = stack.pop(); top; top = stack.pop()) {
    if (typeof top.value !== 'object' || top.value === null) continue
    if (top.depth > DEEPEST) return true
    for (const member of Object.values(top.value)) stack.push({ value: member, depth: top.depth + 1 })
  }
  return false
}

function unfit(why: string): ConnectorFault {
  return new ConnectorFault('unfit', `its list of tools cannot be used: ${why}`)
}

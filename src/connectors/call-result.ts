import { z } from 'zod'
import type { ToolResult } from '../catalog/define-tool.ts'
import { ToolError } from '../domain/errors.ts'
import type { ToolArtifact } from '../domain/tool-artifact.ts'
import { ConnectorFault } from './connector-fault.ts'

const MOST_BLOCKS = 256

/** The output of every connector's tool, whatever its server says of its own. */
export const connectorOutput = z.object({
  text: z.string().describe('The texts of the answer.'),
  structured: z.record(z.string(), z.unknown()).nullable().describe('The structured part of the answer, if it has one.'),
  resources: z.array(z.object({ uri: z.string(), name: z.string().nullable() })).describe('What the answer refers to.'),
  artifacts: z
    .array(z.object({ name: z.string(), content_type: z.string(), size_bytes: z.int() }))
    .describe('Images, sounds and files of the answer: they are artifacts of the invocation.'),
})

const resource = z.object({
  uri: z.string(),
  mimeType: z.string().optional(),
  text: z.string().optional(),
  blob: z.string().optional(),
})
const block = z.union([
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('image'), data: z.string(), mimeType: z.string() }),
  z.object({ type: z.literal('audio'), data: z.string(), mimeType: z.string() }),
  z.object({ type: z.literal('resource'), resource }),
  z.object({ type: z.literal('resource_link'), uri: z.string(), name: z.string().optional() }),
])
const answer = z.object({
  content: z.array(z.unknown()).max(MOST_BLOCKS).default([]),
  structuredContent: z.unknown().optional(),
  isError: z.boolean().optional(),
})

/**
 * A server's answer to a call as a tool's result. Text is text; what is bytes becomes artifacts. Links are told, never followed.
 * @throws ToolError `execution_failed` for an answer that says that the tool failed; ConnectorFault `unfit`
 */
export function readCallResult(result: unknown): ToolResult<z.input<typeof connectorOutput>> {
  const parsed = answer.safeParse(result)
  if (!parsed.success) throw new ConnectorFault('unfit', 'its answer is not the result of a tool')
  const { content, structuredContent, isError } = parsed.data
  const texts: string[] = []
  const artifacts: ToolArtifact[] = []
  const resources: { uri: string; name: string | null }[] = []
  const keep = (kind: string, content_type: string, base64: string) => {
    const name = `${kind}-${artifacts.length + 1}${EXTENSIONS[content_type] ?? ''}`
    artifacts.push({ name, content_type, content: Buffer.from(base64, 'base64') })
  }
  for (const given of content) {
    const read = block.safeParse(given)
    if (!read.success) throw new ConnectorFault('unfit', 'its answer holds a block of a kind that is not known')
    const each = read.data
    if (each.type === 'text') texts.push(each.text)
    else if (each.type === 'image' || each.type === 'audio') keep(each.type, each.mimeType, each.data)
    else if (each.type === 'resource_link') resources.push({ uri: each.uri, name: each.name ?? null })
    else {
      const { uri, mimeType, text, blob } = each.resource
      resources.push({ uri, name: null })
      if (text !== undefined) texts.push(text)
      if (blob !== undefined) keep('resource', mimeType ?? 'application/octet-stream', blob)
    }
  }
  const structured =
    structuredContent === undefined ? null : isRecord(structuredContent) ? structuredContent : { value: structuredContent }
  const output = {
    text: texts.join('\n'),
    structured,
    resources,
    artifacts: artifacts.map(({ name, content_type, content }) => ({ name, content_type, size_bytes: content.length })),
  }
  if (!isError) return { output, artifacts }
  // Whole: whoever shows a message redacts it before cutting it.
  const text = output.text.toWellFormed()
  throw new ToolError('execution_failed', text === '' ? 'the tool says that it failed' : `the tool failed: ${text}`, {
    output,
    artifacts,
  })
}

const EXTENSIONS: Record<string, string> = {
  'image/png': '.png',
  'image/jpeg': '.jpg',
  'image/gif': '.gif',
  'image/webp': '.webp',
  'image/svg+xml': '.svg',
  'audio/wav': '.wav',
  'audio/mpeg': '.mp3',
  'application/pdf': '.pdf',
  'application/json': '.json',
  'application/gzip': '.gz',
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

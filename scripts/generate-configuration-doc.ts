import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { VARIABLES } from '../src/config.ts'

/** Where the committed copy is. */
export const CONFIGURATION_FILE = fileURLToPath(new URL('../docs/configuration.md', import.meta.url))

const HEAD = `# Configuration

All of it is environment variables. An empty value counts as absent; a wrong one stops the start with one line that names the
variable, the value and what is accepted. Generated from \`src/config.ts\` by \`scripts/generate-configuration-doc.ts\`.

| variable | accepts | default | what it is |
|---|---|---|---|
`

/** The page as it is committed. */
export function generateConfigurationDoc(): string {
  const rows = Object.entries(VARIABLES).map(([name, schema]) => {
    const description = schema.description
    if (!description) throw new Error(`${name} has no description in src/config.ts`)
    return `| \`${name}\` | ${cell(accepts(schema))} | ${cell(defaultOf(schema))} | ${cell(description)} |`
  })
  return `${HEAD}${rows.join('\n')}\n`
}

interface InputSchema {
  type?: string
  enum?: string[]
  pattern?: string
  format?: string
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
}

/** In words, from the JSON Schema of what is read. */
function accepts(schema: z.ZodType): string {
  const input = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as InputSchema
  if (input.enum) return input.enum.map((value) => `\`${value}\``).join(', ')
  if (isNumber(schema)) return numberRange(z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }) as InputSchema)
  if (input.format === 'uri') return 'a URL'
  if (input.pattern) return `text that matches \`${input.pattern}\``
  if (isList(schema)) return 'a list'
  if (!schema.safeParse('a').success && schema.safeParse('/a').success) return 'an absolute path'
  if ((input.minLength ?? 0) > 1) return `text, ${input.minLength} characters or more`
  return 'text'
}

function isNumber(schema: z.ZodType): boolean {
  return schema.safeParse('65535').data === 65535 || schema.safeParse('1').data === 1
}

function isList(schema: z.ZodType): boolean {
  return Array.isArray(schema.safeParse('a').data)
}

function numberRange({ type, minimum, maximum }: InputSchema): string {
  const kind = type === 'integer' ? 'whole number' : 'number'
  const unbounded = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER
  return unbounded ? `${kind}, ${minimum ?? 0} or more` : `${kind}, ${minimum ?? 0} to ${maximum}`
}

function defaultOf(schema: z.ZodType): string {
  const parsed = schema.safeParse(undefined)
  const value: unknown = parsed.success ? parsed.data : undefined
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.length === 0 ? 'none' : `\`${value.join(',')}\``
  if (typeof value === 'boolean') return value ? '`1`' : '`0`'
  if (typeof value === 'object') return `\`${Object.values(value as object).join('-')}\``
  return `\`${String(value)}\``
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

if (import.meta.main) {
  writeFileSync(CONFIGURATION_FILE, generateConfigurationDoc())
  console.log(`wrote ${CONFIGURATION_FILE}`)
}

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { VARIABLES } from '../src/config.ts'
import { configFileSchema, EMPTY_CONFIG_FILE } from '../src/config-file.ts'

/** Where the committed copy is. */
export const CONFIGURATION_FILE = fileURLToPath(new URL('../docs/configuration.md', import.meta.url))

const HEAD = `# Configuration

All of it is environment variables, and one file for what does not fit them. An empty value counts as absent; a wrong one stops the
start with one line that names the variable, the value and what is accepted. Generated from \`src/config.ts\` and \`src/config-file.ts\` by
\`scripts/generate-configuration-doc.ts\`.

| variable | accepts | default | what it is |
|---|---|---|---|
`

const FILE_HEAD = `
## The file

\`CLOISTER_CONFIG\` names a file of strict YAML 1.2: an unknown key, a tag or a key given twice stops the start with its line. It holds no
secrets: where one is needed it names an environment variable. It is read once, at the start.

    models:
      anthropic/claude-sonnet-5-5:
        price: { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 }
        fallback: openai/gpt-5.5

| key | accepts | what it is |
|---|---|---|
`

/** The page as it is committed. */
export function generateConfigurationDoc(): string {
  const rows = Object.entries(VARIABLES).map(([name, schema]) => {
    const description = schema.description
    if (!description) throw new Error(`${name} has no description in src/config.ts`)
    return `| \`${name}\` | ${cell(accepts(schema))} | ${cell(defaultOf(schema))} | ${cell(description)} |`
  })
  const keys = fileKeys('', z.toJSONSchema(configFileSchema, { io: 'input', unrepresentable: 'any' }) as FileSchema)
  return `${HEAD}${rows.join('\n')}\n${FILE_HEAD}${keys.join('\n')}\n`
}

interface FileSchema extends InputSchema {
  description?: string
  properties?: Record<string, FileSchema>
  additionalProperties?: FileSchema | false
  items?: FileSchema
  const?: unknown
  anyOf?: FileSchema[]
  oneOf?: FileSchema[]
}

/** A row for each key of the file that has a description, below it the keys in it. */
function fileKeys(key: string, schema: FileSchema): string[] {
  const row = schema.description ? [`| \`${key}\` | ${cell(acceptsInFile(schema))} | ${cell(schema.description)} |`] : []
  const inside = Object.entries(schema.properties ?? {}).flatMap(([name, value]) =>
    fileKeys(key === '' ? name : `${key}.${name}`, value),
  )
  const each = schema.additionalProperties ? fileKeys(`${key}.<name>`, schema.additionalProperties) : []
  const variants = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((variant) => fileKeys(key, variant))
  return [...new Set([...row, ...inside, ...each, ...variants])]
}

function acceptsInFile(schema: FileSchema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ')
  if (schema.const !== undefined) return `\`${String(schema.const)}\``
  if (schema.type === 'integer' || schema.type === 'number') return numberRange(schema)
  if (schema.type === 'array') return 'a list'
  if (schema.type === 'boolean') return '`true`, `false`'
  if (schema.type === 'string') return schema.pattern ? `text that matches \`${schema.pattern}\`` : 'text'
  return 'keys'
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
  if (schema.safeParse('a').error?.issues.some(({ message }) => message === 'an absolute path')) return 'an absolute path'
  if ((input.minLength ?? 0) > 1) return `text, ${input.minLength} characters or more`
  return 'text'
}

function isNumber(schema: z.ZodType): boolean {
  return schema.safeParse('65535').data === 65535 || schema.safeParse('1').data === 1
}

function isList(schema: z.ZodType): boolean {
  // An empty one too: some lists take certain words only.
  return ['a', ''].some((text) => Array.isArray(schema.safeParse(text).data))
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
  if (JSON.stringify(value) === JSON.stringify(EMPTY_CONFIG_FILE)) return ''
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

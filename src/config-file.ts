import { readFileSync } from 'node:fs'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { connectorsSchema } from './config-connectors.ts'

/**
 * The one file for what does not fit a variable, named by `CLOISTER_CONFIG`: strict YAML 1.2, unknown keys refused. It holds no
 * secrets: where one is needed, the file names the environment variable that has it. `docs/configuration.md` is generated from here.
 */

/** Bytes of the file. */
const SIZE_LIMIT = 1024 * 1024
/** Expansions of YAML aliases: none is needed here, and many are an attack. */
const MAX_ALIASES = 10

const modelName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]*\/[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/, 'PROVIDER/ID, such as anthropic/claude-sonnet-5-5')
const dollars = z.number().min(0)

const model = z.strictObject({
  context_window: z
    .int()
    .min(4_000)
    .optional()
    .describe('Tokens that one call of it may hold, question and answer. Absent: what Cloister knows of the model, else 128000.'),
  price: z
    .strictObject({
      input: dollars.describe('US dollars per million tokens.'),
      output: dollars.describe('The same, for what it writes.'),
      cache_read: dollars.optional().describe('For input that its cache had. Absent: as `input`.'),
      cache_write: dollars.optional().describe('For input that its cache took. Absent: as `input`.'),
    })
    .optional()
    .describe('Absent: what it costs is not known, and a session with a budget in money refuses it.'),
  fallback: modelName.optional().describe('Model that answers instead when this one fails for good. Absent: none.'),
})

export const configFileSchema = z.strictObject({
  connectors: connectorsSchema,
  models: z.record(modelName, model).default({}).describe('What is to be known of models, by `PROVIDER/ID`.'),
})

export type ConfigFile = z.output<typeof configFileSchema>
export type ModelSettings = z.output<typeof model>

/** What holds when there is no file. */
export const EMPTY_CONFIG_FILE: ConfigFile = configFileSchema.parse({})

/** The file cannot be used. The message has a line for each problem: where it is, and what is accepted. */
export class ConfigFileError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('; '))
    this.name = 'ConfigFileError'
  }
}

/** @throws ConfigFileError */
export function readConfigFile(path: string): ConfigFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigFileError([`it cannot be read (${(error as NodeJS.ErrnoException).code})`])
  }
  if (Buffer.byteLength(text) > SIZE_LIMIT) throw new ConfigFileError([`it is larger than ${SIZE_LIMIT / 1024} KiB`])
  return parseConfigFile(text)
}

/** @throws ConfigFileError */
export function parseConfigFile(text: string): ConfigFile {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, { version: '1.2', strict: true, uniqueKeys: true, lineCounter })
  // A tag that is not known is a warning of the parser's: strict means that it is none of ours.
  const broken = [...document.errors, ...document.warnings]
  if (broken.length > 0)
    throw new ConfigFileError(broken.map(({ message }) => message.split('\n')[0]?.replace(/:$/, '') ?? message))
  const parsed = configFileSchema.safeParse(toValue(document) ?? {})
  if (parsed.success) return parsed.data
  throw new ConfigFileError(
    parsed.error.issues.map(({ path, message }) => {
      const [offset] = nodeAt(document, path)?.range ?? []
      const line = offset === undefined ? '' : `line ${lineCounter.linePos(offset).line}: `
      return `${line}${path.length > 0 ? `${path.map(String).join('.')}: ` : ''}${message}`
    }),
  )
}

function toValue(document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES })
  } catch (error) {
    // An alias to nothing, or too many of them.
    throw new ConfigFileError([(error as Error).message])
  }
}

/** The nearest node that is there: what is missing has no line of its own. */
function nodeAt(
  document: ReturnType<typeof parseDocument>,
  path: PropertyKey[],
): { range?: [number, number, number] | null } | null {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true)
    if (typeof node === 'object' && node !== null && 'range' in node) return node as { range: [number, number, number] }
  }
  return null
}

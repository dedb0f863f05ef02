import { mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { z } from 'zod'
import { ConfigFileError, EMPTY_CONFIG_FILE, readConfigFile } from './config-file.ts'
import { MESSAGE_LIMIT } from './domain/message.ts'
import { TOOL_ROLES } from './domain/principal.ts'

/** Everything that can be set, from the environment. `docs/configuration.md` is generated from this schema. */

const port = z.coerce.number().int().min(0).max(65535)
const count = (minimum: number) => z.coerce.number().int().min(minimum)
const dollars = z.coerce.number().positive()
const list = (separator: string | RegExp) =>
  z.string().transform((text) =>
    text
      .split(separator)
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  )
const flag = z.enum(['0', '1', 'true', 'false']).transform((text) => text === '1' || text === 'true')
const address = z
  .string()
  .refine((text) => /^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]]+):[1-9]\d{0,4}$/.test(text), 'HOST:PORT, an IPv6 address in brackets')
  .transform((text) => {
    const colon = text.lastIndexOf(':')
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
  })
  .refine(({ port }) => port <= 65535, 'a port from 1 to 65535')
const absolutePath = z
  .string()
  .refine(isAbsolute, 'an absolute path')
  .transform((path) => resolve(path))

const configFile = absolutePath
  .transform((path, context) => {
    try {
      return readConfigFile(path)
    } catch (error) {
      if (!(error instanceof ConfigFileError)) throw error
      context.addIssue({ code: 'custom', message: error.message })
      return z.NEVER
    }
  })
  .default(EMPTY_CONFIG_FILE)

export const VARIABLES = {
  PORT: port.default(50053).describe('TCP port. 0: any free one, printed at start.'),
  HOST: z.string().min(1).default('127.0.0.1').describe('Address to listen on.'),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least severe log line that is written.'),
  CLOISTER_HOME: absolutePath.optional().describe('Where everything is kept. Default: `cloister` in the XDG data directory.'),
  WORKSPACE_ROOT: absolutePath.optional().describe('Volumes. Default: `volumes` under CLOISTER_HOME.'),
  ARTIFACT_ROOT: absolutePath.optional().describe('Artifacts. Default: `artifacts` under CLOISTER_HOME.'),
  CLOISTER_CONFIG: configFile.describe('A YAML file for what does not fit a variable: see below. Absent: none.'),
  CLOISTER_AUTH: z
    .enum(['token', 'trusted_headers', 'payload'])
    .default('token')
    .describe('How callers prove who they are. `payload` is for development and is refused unless bound to loopback.'),
  CLOISTER_ADMIN_PASSWORD: z
    .string()
    .min(8)
    .max(1024)
    .optional()
    .describe('Password of the first admin. Absent: one is generated and printed once.'),
  CLOISTER_JWT_SECRET: z
    .string()
    .min(32)
    .optional()
    .describe('Key that signs login tokens. Absent: a generated one, kept in a 0600 file.'),
  CLOISTER_MAX_TOOL_ROLES: list(',')
    .pipe(z.array(z.enum(TOOL_ROLES)))
    .default(['developer', 'devops'])
    .describe('Ceiling of tool roles in the modes `payload` and `trusted_headers`: of `developer`, `devops`, `platform_admin`.'),
  WORKSPACE_AUTH_SHARED_TOKEN: z
    .string()
    .min(16)
    .optional()
    .describe('Shared token of the gateway in the mode `trusted_headers`.'),
  CLOISTER_SANDBOX: z
    .enum(['auto', 'bubblewrap', 'process'])
    .default('auto')
    .describe('Driver. `auto`: bubblewrap. `process` isolates nothing and must be asked for.'),
  CLOISTER_SANDBOX_ROOTFS: absolutePath.optional().describe("A root file system for sandboxes instead of the machine's /usr."),
  CLOISTER_SANDBOX_BINDS: list(':').default([]).describe('More directories that sandboxes see read-only, separated by colons.'),
  CLOISTER_UID_RANGE: z
    .string()
    .regex(/^\d+-\d+$/, 'FIRST-LAST')
    .default('200000-265535')
    .transform((text) => {
      const [first, last] = text.split('-').map(Number) as [number, number]
      return { first, last }
    })
    .refine((range) => range.first >= 1000 && range.last > range.first, 'FIRST-LAST, FIRST at least 1000')
    .describe('Host uids that sessions get, one each, when the server runs as root.'),
  CLOISTER_ALLOW_HOST_NETWORK: flag.default(false).describe("Admins may create sessions that share the machine's network."),
  CLOISTER_SHELL: flag.default(false).describe('Offer `shell.exec`.'),
  CLOISTER_SOURCE_ROOTS: list(delimiter)
    .default([])
    .describe('Directories from which `source_repo_path` may copy, separated by colons. None by default.'),
  CLOISTER_REPO_HOSTS: list(',')
    .default(['github.com', 'gitlab.com', 'bitbucket.org'])
    .describe('Hosts from which `repo_url` may clone.'),
  CLOISTER_POLICY: absolutePath
    .optional()
    .describe(
      'Folder of policies (`*.cedar`), in the place of those that Cloister comes with. Read at start and on SIGHUP: docs/policy.md.',
    ),
  CLOISTER_OPA_URL: z
    .url({ protocol: /^https?$/, error: 'an http or https URL' })
    .optional()
    .describe('A rule in the data API of an OPA server, which must allow each call besides. Absent: none is asked.'),
  CLOISTER_OPA_TIMEOUT_MS: count(1).default(1000).describe('A policy server that has not answered by then, in ms, refuses.'),
  CLOISTER_MODEL: z
    .string()
    .optional()
    .describe(
      'Model of sessions that name none, `provider/id`. Default: a model of the first provider that has a key (ANTHROPIC_API_KEY, OPENAI_API_KEY), else `scripted/default`.',
    ),
  CLOISTER_SCRIPTS: absolutePath.optional().describe('Folder of scripts for the `scripted` provider.'),
  ANTHROPIC_API_KEY: z.string().min(1).optional().describe('Key of the Anthropic API.'),
  ANTHROPIC_BASE_URL: z.url().optional().describe('Another endpoint that speaks the Anthropic API.'),
  OPENAI_API_KEY: z.string().min(1).optional().describe('Key of the OpenAI API.'),
  OPENAI_BASE_URL: z.url().optional().describe('Another endpoint that speaks the OpenAI Responses API.'),
  CLOISTER_COMPAT_BASE_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('A server that speaks OpenAI Chat Completions, up to before `/chat/completions`: its models are `compat/<id>`.'),
  CLOISTER_COMPAT_API_KEY: z.string().min(1).optional().describe('Its key. Absent: it asks for none.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('Collector that takes OTLP over HTTP; spans go to `/v1/traces` there. Absent: nothing is exported.'),
  INVOCATION_STORE_BACKEND: z
    .enum(['sql', 'memory', 'valkey'])
    .default('sql')
    .describe('Where finished invocation records are kept. `valkey`: Valkey, or Redis from 6.2.'),
  INVOCATION_STORE_TTL_SECONDS: count(1)
    .default(86_400)
    .describe('How long the backends `memory` and `valkey` keep a record, in seconds.'),
  INVOCATION_STORE_KEY_PREFIX: z
    .string()
    .regex(/^[\w:.-]{1,128}$/, '1 to 128 letters, digits and _ : . -')
    .default('workspace:invocation')
    .describe('What every key of the `valkey` backend begins with.'),
  VALKEY_ADDR: address.optional().describe('HOST:PORT of the Valkey server, instead of VALKEY_HOST and VALKEY_PORT.'),
  VALKEY_HOST: z.string().min(1).default('127.0.0.1').describe('Where the Valkey server is.'),
  VALKEY_PORT: z.coerce.number().int().min(1).max(65535).default(6379).describe('Its TCP port.'),
  VALKEY_DB: count(0).default(0).describe('Number of its logical database.'),
  VALKEY_PASSWORD: z.string().min(1).optional().describe('Its password. Absent: it asks for none.'),
  WORKSPACE_RATE_LIMIT_PER_MINUTE: count(0).default(600).describe('Invocations per session and minute. 0: no limit.'),
  WORKSPACE_RATE_LIMIT_PER_MINUTE_PER_PRINCIPAL: count(0)
    .default(1200)
    .describe('Invocations per principal and minute. 0: no limit.'),
  WORKSPACE_MAX_CONCURRENCY_PER_SESSION: count(0).default(8).describe('Invocations of a session that run at once. 0: no limit.'),
  WORKSPACE_MAX_OUTPUT_BYTES_PER_INVOCATION: count(1024)
    .default(64 * 1024 * 1024)
    .describe('A command that writes more, in bytes, is killed.'),
  WORKSPACE_MAX_ARTIFACTS_PER_INVOCATION: count(0)
    .default(32)
    .describe('Artifacts that a tool may leave in one call; its whole output and log come besides. 0: no limit.'),
  WORKSPACE_MAX_ARTIFACT_BYTES: count(0)
    .default(64 * 1024 * 1024)
    .describe('Bytes of one artifact. A call that leaves a larger one fails, and what came before is kept. 0: no limit.'),
  WORKSPACE_MAX_ARTIFACT_BYTES_PER_SESSION: count(0)
    .default(1024 * 1024 * 1024)
    .describe('Bytes of all artifacts of a session together. 0: no limit.'),
  WORKSPACE_MESSAGES_PER_MINUTE: count(0).default(30).describe('Messages to one session in a minute. 0: no limit.'),
  WORKSPACE_MAX_MESSAGE_CHARACTERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(MESSAGE_LIMIT)
    .default(MESSAGE_LIMIT)
    .describe('Characters of one message.'),
  CLOISTER_MEMORY_MB: count(64).default(2048).describe('Memory of a sandbox, in MiB.'),
  CLOISTER_CPUS: z.coerce.number().min(0.1).default(2).describe('CPUs of a sandbox.'),
  CLOISTER_PIDS: count(16).default(512).describe('Processes and threads of a sandbox.'),
  CLOISTER_IDLE_TIMEOUT_SECONDS: count(1).default(3600).describe('A session that nobody used for so long is closed.'),
  CLOISTER_RETENTION_DAYS: z.coerce
    .number()
    .min(0)
    .max(36_500)
    .optional()
    .describe(
      'How long artifacts and log lines outlive their session, in days from its close or deletion. Records and events stay. Absent: for ever.',
    ),
  CLOISTER_APPROVAL_TTL_SECONDS: count(1).default(86_400).describe('How long a requested approval waits.'),
  CLOISTER_TURN_MAX_STEPS: count(1).default(100).describe('Model calls of one turn.'),
  CLOISTER_TURN_MAX_TOKENS: count(1).optional().describe('Tokens of one turn, in and out, cached ones too. Absent: no limit.'),
  CLOISTER_TURN_MAX_COST_USD: dollars
    .optional()
    .describe('US dollars that one turn may cost, by the prices in CLOISTER_CONFIG. Absent: no limit.'),
  CLOISTER_TURN_MAX_SECONDS: count(1).default(3600).describe('Wall time of one turn, waiting for approvals left out.'),
  CLOISTER_SESSION_MAX_STEPS: count(1).optional().describe('Model calls of all turns of a session together. Absent: no limit.'),
  CLOISTER_SESSION_MAX_TOKENS: count(1).optional().describe('Tokens of all turns of a session together. Absent: no limit.'),
  CLOISTER_SESSION_MAX_COST_USD: dollars
    .optional()
    .describe('US dollars, for all turns of a session together. Absent: no limit.'),
  CLOISTER_SESSION_MAX_SECONDS: count(1).optional().describe('Wall time of all turns of a session together. Absent: no limit.'),
} satisfies Record<string, z.ZodType>

type Parsed = { [Name in keyof typeof VARIABLES]: z.output<(typeof VARIABLES)[Name]> }

export interface Config extends Readonly<Omit<Parsed, 'CLOISTER_HOME' | 'WORKSPACE_ROOT' | 'ARTIFACT_ROOT'>> {
  readonly CLOISTER_HOME: string
  readonly WORKSPACE_ROOT: string
  readonly ARTIFACT_ROOT: string
}

/** A variable has a value that cannot be used. The message is one line: name, value, what is accepted. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ConfigError'
  }
}

const SECRET_VARIABLES = new Set([
  'CLOISTER_ADMIN_PASSWORD',
  'CLOISTER_JWT_SECRET',
  'WORKSPACE_AUTH_SHARED_TOKEN',
  'ANTHROPIC_API_KEY',
  'OPENAI_API_KEY',
  'CLOISTER_COMPAT_API_KEY',
  'VALKEY_PASSWORD',
])

/**
 * Parses the environment into a frozen Config. An empty value counts as absent.
 * @throws ConfigError
 */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const values: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(VARIABLES)) {
    const given = environment[name] === '' ? undefined : environment[name]
    const parsed = (schema as z.ZodType).safeParse(given)
    if (!parsed.success) {
      const shown = SECRET_VARIABLES.has(name) ? '(not shown)' : JSON.stringify(given)
      throw new ConfigError(`${name}=${shown}: ${parsed.error.issues.map((issue) => issue.message).join('; ')}`)
    }
    values[name] = parsed.data
  }
  const parsed = values as Parsed
  const dataHome = environment['XDG_DATA_HOME'] || join(environment['HOME'] || homedir(), '.local', 'share')
  const home = parsed.CLOISTER_HOME ?? join(dataHome, 'cloister')
  const config: Config = {
    ...parsed,
    CLOISTER_HOME: home,
    WORKSPACE_ROOT: parsed.WORKSPACE_ROOT ?? join(home, 'volumes'),
    ARTIFACT_ROOT: parsed.ARTIFACT_ROOT ?? join(home, 'artifacts'),
  }
  if (config.CLOISTER_AUTH === 'payload' && !isLoopback(config.HOST))
    throw new ConfigError(
      `CLOISTER_AUTH="payload": only with HOST on loopback (127.0.0.1, ::1, localhost), HOST is ${JSON.stringify(config.HOST)}`,
    )
  if (config.CLOISTER_AUTH === 'trusted_headers' && !config.WORKSPACE_AUTH_SHARED_TOKEN)
    throw new ConfigError('CLOISTER_AUTH="trusted_headers": needs WORKSPACE_AUTH_SHARED_TOKEN, at least 16 characters')
  return Object.freeze(config)
}

/**
 * Values of variables that the configuration file names, by name.
 * @throws ConfigError for one that is not set, or holds what no header can
 */
export function namedVariables(
  names: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): ReadonlyMap<string, string> {
  return new Map(
    names.map((name) => {
      const value = environment[name]
      if (!value) throw new ConfigError(`CLOISTER_CONFIG names the environment variable ${name}, which is not set`)
      if (!/^[\t\x20-\x7e\x80-\xff]+$/.test(value))
        throw new ConfigError(`CLOISTER_CONFIG names the environment variable ${name}, whose value (not shown) fits no header`)
      return [name, value]
    }),
  )
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** Makes the home directory: 0711, so that sandbox uids can pass through to what is theirs; everything in it is private. */
export function prepareHome(home: string): void {
  mkdirSync(home, { recursive: true, mode: 0o711 })
}

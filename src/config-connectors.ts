import { isIP } from 'node:net'
import { z } from 'zod'
import type { Connector } from './domain/connector.ts'
import { refuseSecrets } from './domain/secret-names.ts'

/** The key `connectors` of the configuration file. What is declared strictest is what holds where nothing is said. */

const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'the name of a variable')
const secret = variable.refine((name) => refuseSecrets({ [name]: '' }) === null, 'a name that no secret can have')
const network = z.string().refine((text) => {
  const [address = '', prefix, ...rest] = text.split('/')
  const most = isIP(address) === 6 ? 128 : 32
  return (
    isIP(address) !== 0 && rest.length === 0 && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= most))
  )
}, 'an IP address, or a network such as 10.1.0.0/16')

const declaration = {
  scope: z
    .enum(['repo', 'workspace', 'cluster', 'external'])
    .optional()
    .describe('What it reaches. Absent: `external`, which needs the tool role devops or platform_admin.'),
  side_effects: z
    .enum(['none', 'reversible', 'irreversible'])
    .optional()
    .describe('What it changes. `none`: it may be asked again after a failure. Absent: `irreversible`.'),
  risk: z.enum(['low', 'medium', 'high']).optional().describe('Absent: `high`, which needs the tool role platform_admin.'),
  approval: z.boolean().optional().describe("Does a call wait for a person's yes? Absent: it does."),
  timeout_seconds: z.int().min(2).max(600).optional().describe('Absent: 60.'),
  output_limit_kb: z.int().min(1).max(1024).optional().describe('Of the answer, what is more becomes an artifact. Absent: 256.'),
}
const tool = z
  .strictObject(declaration)
  .nullable()
  .transform((given) => given ?? {})

const connector = z
  .strictObject({
    command: z
      .array(z.string().min(1).max(4096))
      .min(1)
      .max(100)
      .optional()
      .describe("Program and arguments of a server that speaks MCP over stdio. It runs in the session's sandbox. This or `url`."),
    env: z.record(variable, z.string().max(4096)).optional().describe('With `command`: its environment. No secrets.'),
    secrets: z
      .array(secret)
      .max(100)
      .optional()
      .describe("With `command`: names of the session's secrets that are in its environment. Absent: none."),
    network: z
      .boolean()
      .optional()
      .describe('With `command`: it needs the network. Its tools are in sessions with network only. Absent: it does not.'),
    url: z
      .url({ protocol: /^https?$/ })
      .max(2000)
      .optional()
      .describe('Of a server that Cloister calls over streamable HTTP: https.'),
    headers: z
      .record(z.string().regex(/^[A-Za-z0-9-]{1,100}$/, 'the name of a header'), variable)
      .optional()
      .describe('With `url`: by header, the name of the environment variable of the server that holds its value.'),
    allow_loopback_http: z
      .boolean()
      .optional()
      .describe('With `url`: http is accepted, to loopback and nowhere else. Absent: it is not.'),
    allow_private_addresses: z
      .array(network)
      .max(100)
      .optional()
      .describe('With `url`: addresses that are not of the public internet and may be called. Absent: none.'),
    ...declaration,
    tools: z
      .record(z.string().regex(/^[A-Za-z0-9_./-]{1,128}$/, "the name of a server's tool"), tool)
      .default({})
      .describe('The tools that are let in, by the names that their server gives them. What is not named is not there.'),
  })
  .superRefine((given, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if ((given.command === undefined) === (given.url === undefined)) issue('command', 'one of command and url, and not both')
    const foreign =
      given.url === undefined ? ['headers', 'allow_loopback_http', 'allow_private_addresses'] : ['env', 'secrets', 'network']
    for (const key of foreign)
      if (given[key as keyof typeof given] !== undefined) issue(key, `only with ${given.url === undefined ? 'url' : 'command'}`)
    if (given.url === undefined) return
    const url = new URL(given.url)
    if (url.username || url.password || url.hash) issue('url', 'without a user, a password and a fragment')
    const loopback = ['localhost', '[::1]'].includes(url.hostname) || /^127\.\d+\.\d+\.\d+$/.test(url.hostname)
    if (url.protocol !== 'https:' && !(loopback && given.allow_loopback_http))
      issue('url', 'https, or http to loopback with allow_loopback_http: true')
  })

export const connectorsSchema = z
  .record(z.string().regex(/^[a-z][a-z0-9_]{0,30}$/, 'lower-case letters, digits and _, at most 31'), connector)
  .default({})
  .describe('MCP servers whose tools become tools here, by name: the family of their tools. See docs/connectors.md.')

type Settings = z.output<typeof connectorsSchema>
type Declaration = z.output<typeof tool>

/** With what holds where the file says nothing. Pure. */
export function connectorsOf(settings: Settings): Connector[] {
  return Object.entries(settings).map(([name, given]) => ({
    name,
    source:
      given.url === undefined
        ? {
            kind: 'stdio',
            command: given.command ?? [],
            env: given.env ?? {},
            secrets: given.secrets ?? [],
            network: given.network ?? false,
          }
        : {
            kind: 'http',
            url: given.url,
            headers: given.headers ?? {},
            allow_loopback_http: given.allow_loopback_http ?? false,
            allow_private_addresses: given.allow_private_addresses ?? [],
          },
    tools: Object.fromEntries(Object.entries(given.tools).map(([tool, own]) => [tool, declared(given, own)])),
  }))
}

function declared(all: Declaration, own: Declaration): Connector['tools'][string] {
  return {
    scope: own.scope ?? all.scope ?? 'external',
    side_effects: own.side_effects ?? all.side_effects ?? 'irreversible',
    risk_level: own.risk ?? all.risk ?? 'high',
    requires_approval: own.approval ?? all.approval ?? true,
    timeout_seconds: own.timeout_seconds ?? all.timeout_seconds ?? 60,
    output_limit_kb: own.output_limit_kb ?? all.output_limit_kb ?? 256,
  }
}

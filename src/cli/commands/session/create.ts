import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { CreateSession } from '../../../client/cloister-client.ts'
import { collect, count, keyValue, positive, readTextFile } from '../../arguments.ts'
import { CliError } from '../../cli-error.ts'
import { contextOf } from '../../context.ts'
import { EXIT } from '../../exit-codes.ts'
import { leavable } from '../../interruptible.ts'
import { sessionFields } from '../../render.ts'
import { readSecrets } from '../../secret-option.ts'
import { waitUntilReady } from '../../wait-until-ready.ts'

interface Options {
  id?: string
  name?: string
  secret?: string[]
  instructions?: string
  setup?: string
  source?: string
  repo?: string
  ref?: string
  repoAuth?: string
  allowPath?: string[]
  role?: string[]
  metadata?: Record<string, string>
  model?: string
  message?: string
  allowTool?: string[]
  denyTool?: string[]
  autoApprove?: string[]
  network?: 'none' | 'host'
  isolationFloor?: 'none' | 'namespaces' | 'container' | 'vm'
  memory?: number
  cpus?: number
  pids?: number
  budget?: Record<string, string>
  expires?: number
  idleTimeout?: number
  wait?: boolean
}

export function addSessionCreate(session: Command): void {
  session
    .command('create')
    .description('create a session')
    .option('--name <name>', 'what people call it')
    .option('--id <id>', 'its id, [a-z0-9][a-z0-9_-]{0,63}; made when not given')
    .option(
      '--secret <NAME[=@FILE]>',
      'a secret: from the environment variable NAME, by a hidden question, or from a file',
      collect,
    )
    .option('--instructions <file>', 'markdown for the agent, read for every model call')
    .option('--setup <file>', 'a script that runs each time the sandbox starts, with the secrets in its environment')
    .option('--source <dir>', "a directory of the server's machine to copy (under one of its CLOISTER_SOURCE_ROOTS)")
    .option('--repo <url>', 'a repository to clone (https)')
    .option('--ref <ref>', 'branch or tag of the repository')
    .option('--repo-auth <SECRET>', "name of the session's secret that git authenticates with")
    .option('--allow-path <path>', 'a path that tools may touch, relative to the workspace (default: all of it)', collect)
    .option('--role <role>', 'a tool role for the session: developer, devops, platform_admin', collect)
    .option('--metadata <key=value>', 'something to find it by', keyValue)
    .option('--model <provider/id>', 'the model that answers')
    .option('--message <text>', 'the first message')
    .option('--allow-tool <pattern>', 'offer only these tools, such as fs.*', collect)
    .option('--deny-tool <pattern>', 'do not offer these tools', collect)
    .option('--auto-approve <pattern>', 'a standing approval for these tools', collect)
    .option('--network <network>', 'none (default) or host')
    .option('--isolation-floor <level>', 'refuse to start with less: none, namespaces, container, vm')
    .option('--memory <MiB>', 'memory of the sandbox', count(64))
    .option('--cpus <number>', 'CPUs of the sandbox', positive)
    .option('--pids <number>', 'processes and threads of the sandbox', count(16))
    .option(
      '--budget <KEY=AMOUNT>',
      'what its agent may use: turn.steps, turn.tokens, turn.cost_usd, turn.seconds, and session.* for all turns together',
      keyValue,
    )
    .option('--expires <seconds>', 'close it after so long', count())
    .option('--idle-timeout <seconds>', 'close it when nobody used it for so long', count())
    .option('--wait', 'wait until it is ready; exit with 1 if its setup fails')
    .addHelpText(
      'after',
      `
Examples:
  cloister session create --source . --message "make the tests pass"
  GITHUB_TOKEN=... cloister session create --repo https://github.com/me/app --secret GITHUB_TOKEN --repo-auth GITHUB_TOKEN
  cloister session create --source . --secret API_KEY=@key.txt --instructions AGENTS.md --setup setup.sh --wait

The value of a secret is never given on the command line, where others could read it.`,
    )
    .action(async (options: Options, command: Command) => {
      const context = contextOf(command)
      const prompter = context.prompter
      const secrets = await readSecrets(options.secret ?? [], {
        variable: (name) => context.environment.variable(name),
        ask: prompter && ((name) => prompter.askHidden(`Value of the secret ${name} (not shown): `)),
      })
      const request = await requestOf(options, secrets, context.client)
      let left = 'the session may have been made all the same: cloister session list'
      await leavable(
        context.out,
        () => left,
        async () => {
          const { session: created, warnings } = await context.client.createSession(request)
          const shows = `cloister session ${options.message === undefined ? 'get' : 'chat'} ${created.id}`
          left = `${created.id} is there and goes on: ${shows} shows it, cloister session close ${created.id} stops it`
          for (const warning of warnings ?? []) context.out.note(`warning: ${warning}`)
          const session = options.wait ? await waitUntilReady(context, created) : created
          context.out.result({ session, ...(warnings && warnings.length > 0 ? { warnings } : {}) }, () => sessionFields(session))
          if (options.message !== undefined && !context.out.json) context.out.note(`the agent answers: ${shows}`)
        },
      )
    })
}

async function requestOf(
  options: Options,
  secrets: Record<string, string>,
  client: ReturnType<typeof contextOf>['client'],
): Promise<CreateSession> {
  const limits = defined({ memory_mb: options.memory, cpus: options.cpus, pids: options.pids })
  const tools = defined({ allow: options.allowTool, deny: options.denyTool })
  return defined({
    session_id: options.id,
    name: options.name,
    metadata: options.metadata,
    secrets: Object.keys(secrets).length > 0 ? secrets : undefined,
    instructions: options.instructions === undefined ? undefined : readTextFile(options.instructions),
    setup: options.setup === undefined ? undefined : readTextFile(options.setup),
    source_repo_path: options.source === undefined ? undefined : resolve(options.source),
    repo_url: options.repo,
    repo_ref: options.ref,
    repo_auth_secret: options.repoAuth,
    allowed_paths: options.allowPath,
    principal: options.role === undefined ? undefined : { ...(await principal(client)), roles: options.role },
    model: options.model,
    message: options.message,
    tools: Object.keys(tools).length > 0 ? tools : undefined,
    auto_approve: options.autoApprove,
    network: options.network,
    isolation_floor: options.isolationFloor,
    limits: Object.keys(limits).length > 0 ? limits : undefined,
    budgets: options.budget && budgetsOf(options.budget),
    expires_in_seconds: options.expires,
    idle_timeout_seconds: options.idleTimeout,
  })
}

function budgetsOf(given: Record<string, string>): NonNullable<CreateSession['budgets']> {
  const budgets: Record<string, Record<string, number>> = {}
  for (const [key, value] of Object.entries(given)) {
    const [, whose, item] = /^(turn|session)\.(steps|tokens|cost_usd|seconds)$/.exec(key) ?? []
    const amount = Number(value)
    if (!whose || !item || !(amount > 0))
      throw new CliError(
        'usage',
        EXIT.usage,
        `--budget ${key}=${value} is no budget`,
        'such as turn.tokens=200000 or session.cost_usd=5',
      )
    budgets[whose] = { ...budgets[whose], [item]: amount }
  }
  return budgets
}

async function principal(client: ReturnType<typeof contextOf>['client']): Promise<{ tenant_id: string; actor_id: string }> {
  const { tenant_id, actor_id } = await client.me()
  return { tenant_id, actor_id }
}

/** Without the fields that are undefined: the API refuses none, but its types tell absent from undefined. */
function defined<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>
  }
}

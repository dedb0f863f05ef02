import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { ApiError } from '../../client/cloister-client.ts'
import { readTextFile, textOrStdin } from '../arguments.ts'
import { CliError } from '../cli-error.ts'
import { type Context, clientFor, contextOf } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { time } from '../render.ts'

interface Options {
  user: string
  passwordFile?: string
  passwordStdin?: boolean
  yes?: boolean
}

const TOKEN_GOES_FIRST = 'CLOISTER_TOKEN is set and goes before it: unset it to act with this login'

export function addLogin(program: Command): void {
  program
    .command('login')
    .description('log in to a server; the token is stored for the commands that follow')
    .option('-u, --user <name>', 'who', 'admin')
    .option('--password-file <file>', 'take the password from a file')
    .option('--password-stdin', 'take the password from stdin')
    .option('-y, --yes', 'use the generated admin password without asking, where the server left it on this machine')
    .addHelpText(
      'after',
      `
A server's first start leaves the generated password of its admin in <CLOISTER_HOME>/admin-password, for its own user only.
On the same machine login finds it there and offers it. A password is never given on the command line.

Examples:
  cloister login
  cloister --url https://cloister.example.org login --user ada`,
    )
    .action(async (options: Options, command: Command) => {
      const context = contextOf(command)
      const password = await readPassword(options, context)
      // Without a stored token: an expired one must not stand in the way of a new one.
      const { token, expires_at } = await clientFor(context.url, undefined)
        .login(options.user, password)
        .catch((error: unknown) => {
          throw wrongPassword(error)
        })
      context.credentials.set(context.url, { token, user: options.user, expires_at })
      context.out.result(
        { url: context.url, user: options.user, expires_at },
        () => `logged in to ${context.url} as ${options.user} until ${time(expires_at)} UTC`,
      )
      if (context.environment.token !== undefined) context.out.note(TOKEN_GOES_FIRST)
    })

  program
    .command('logout')
    .description('forget the stored token of a server')
    .addHelpText('after', '\nExample:\n  cloister logout')
    .action((_options: object, command: Command) => {
      const { credentials, out, url } = contextOf(command)
      const was = credentials.delete(url)
      out.result({ url, logged_out: was }, () => (was ? `logged out of ${url}` : `there was no token for ${url}`))
    })

  program
    .command('whoami')
    .description('who the server takes you for')
    .addHelpText('after', '\nExample:\n  cloister whoami --json')
    .action(async (_options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const me = await client.me()
      out.result(me, () => `${me.tenant_id}/${me.actor_id}`)
    })
}

async function readPassword(options: Options, context: Context): Promise<string> {
  if (options.passwordFile !== undefined) return withoutLineEnd(readTextFile(options.passwordFile))
  if (options.passwordStdin) return withoutLineEnd(await textOrStdin('-'))
  const { prompter } = context
  const generated = options.user === 'admin' ? generatedPassword(context) : undefined
  if (generated !== undefined) {
    const { adminPasswordFile } = context.environment
    if (options.yes) return generated
    if (prompter) {
      const answer = await prompter.ask(`Use the generated password in ${adminPasswordFile}? [Y/n] `)
      if (/^(y(es)?)?$/i.test(answer.trim())) return generated
    }
  }
  if (prompter) return await prompter.askHidden(`Password of ${options.user} (not shown): `)
  throw new CliError(
    'usage',
    EXIT.usage,
    'no password given, and nobody to ask',
    generated === undefined
      ? 'use --password-file or --password-stdin'
      : `--yes uses the generated one in ${context.environment.adminPasswordFile}`,
  )
}

/** Offered to a server on this machine only: it is nobody else's. */
function generatedPassword({ url, environment }: Context): string | undefined {
  const { hostname } = new URL(url)
  if (hostname !== 'localhost' && hostname !== '[::1]' && !/^127\.\d+\.\d+\.\d+$/.test(hostname)) return undefined
  try {
    return withoutLineEnd(readFileSync(environment.adminPasswordFile, 'utf8'))
  } catch (error) {
    // Not there, or not ours to read: then there is nothing to offer.
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

/** The usual hint, to log in, would be none here. */
function wrongPassword(error: unknown): unknown {
  if (!(error instanceof ApiError) || error.code !== 'unauthorized') return error
  return new CliError(
    error.code,
    EXIT.unauthorized,
    error.message,
    'another name: --user NAME; the password that a first start made is in <CLOISTER_HOME>/admin-password there',
  )
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '')
}

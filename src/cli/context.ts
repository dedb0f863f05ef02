import type { Command } from 'commander'
import { CloisterClient } from '../client/cloister-client.ts'
import { CliError } from './cli-error.ts'
import { Credentials } from './credentials.ts'
import { type CliEnvironment, readEnvironment } from './environment.ts'
import { EXIT } from './exit-codes.ts'
import { Output } from './output.ts'
import { type Prompter, terminalPrompter } from './prompt.ts'

/** What every command works with. */
export interface Context {
  readonly url: string
  readonly environment: CliEnvironment
  readonly credentials: Credentials
  readonly out: Output
  /** Undefined: nobody is there to answer. */
  readonly prompter: Prompter | undefined
  /** A client with the caller's token, if there is one: in some modes of a server none is needed. */
  readonly client: CloisterClient
}

export function contextOf(command: Command): Context {
  const options = command.optsWithGlobals<{ json?: boolean; url?: string; color?: boolean }>()
  const environment = readEnvironment()
  const url = serverUrl(options.url ?? environment.url)
  const credentials = new Credentials(environment.credentialsFile)
  const color = options.color !== false && !environment.noColor && !environment.dumbTerminal && process.stdout.isTTY === true
  const json = options.json === true
  const canErase = () => !json && !environment.dumbTerminal && process.stdout.isTTY === true
  const out = new Output({ out: process.stdout, err: process.stderr }, { json, color, canErase })
  let client: CloisterClient | undefined
  return {
    url,
    environment,
    credentials,
    out,
    prompter: terminalPrompter(),
    get client() {
      client ??= clientFor(url, environment.token ?? credentials.get(url)?.token)
      return client
    },
  }
}

export function clientFor(url: string, token: string | undefined): CloisterClient {
  return new CloisterClient({ url, ...(token === undefined ? {} : { token }) })
}

function serverUrl(text: string): string {
  const url = URL.parse(text)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '' || url.password !== '')
    throw new CliError(
      'usage',
      EXIT.usage,
      `${JSON.stringify(text)} is not the URL of a server`,
      'such as http://127.0.0.1:50053',
    )
  return url.href.replace(/\/$/, '')
}

import { homedir } from 'node:os'
import { join } from 'node:path'

/** What the CLI takes from the environment. Nothing else of the CLI reads it. */
export interface CliEnvironment {
  /** `CLOISTER_URL`, or where a server started with this `HOST` and `PORT` would be. */
  readonly url: string
  /** `CLOISTER_TOKEN`: used instead of what `login` stored. */
  readonly token: string | undefined
  /** Where `login` stores tokens. */
  readonly credentialsFile: string
  /** Where a server of this user and machine leaves the first admin's generated password. */
  readonly adminPasswordFile: string
  /** `NO_COLOR` (https://no-color.org) is set. */
  readonly noColor: boolean
  /** The terminal cannot move its cursor (`TERM=dumb`, or none is named). */
  readonly dumbTerminal: boolean
  /** What was typed in conversations. */
  readonly historyFile: string
  /** The variable that `--secret NAME` names. */
  variable(name: string): string | undefined
}

const DEFAULT_PORT = '50053'

export function readEnvironment(): CliEnvironment {
  const env = process.env
  const home = env['HOME'] || homedir()
  const cloisterHome = env['CLOISTER_HOME'] || join(env['XDG_DATA_HOME'] || join(home, '.local', 'share'), 'cloister')
  return {
    url: env['CLOISTER_URL'] || `http://${authorityOf(env['HOST'] || '127.0.0.1')}:${env['PORT'] || DEFAULT_PORT}`,
    token: env['CLOISTER_TOKEN'] || undefined,
    credentialsFile: join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'cloister', 'credentials.json'),
    adminPasswordFile: join(cloisterHome, 'admin-password'),
    noColor: (env['NO_COLOR'] ?? '') !== '',
    dumbTerminal: ['', 'dumb'].includes(env['TERM'] ?? ''),
    historyFile: join(env['XDG_STATE_HOME'] || join(home, '.local', 'state'), 'cloister', 'chat-history'),
    variable: (name) => env[name],
  }
}

/** An IPv6 address stands in brackets in a URL. */
function authorityOf(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

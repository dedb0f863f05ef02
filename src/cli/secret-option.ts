import { readFileSync } from 'node:fs'
import { CliError } from './cli-error.ts'
import { EXIT } from './exit-codes.ts'

export interface SecretSources {
  variable(name: string): string | undefined
  /** Asks without showing what is typed. Undefined: there is no terminal to ask on. */
  ask?: ((name: string) => Promise<string>) | undefined
}

/**
 * The values of `--secret NAME` (the environment variable NAME, else a hidden question) and `--secret NAME=@FILE` (a file's
 * content, one line feed at its end left out). `NAME=value` is refused: everybody on the machine can read a command line.
 * @throws CliError usage
 */
export async function readSecrets(options: readonly string[], sources: SecretSources): Promise<Record<string, string>> {
  const secrets: Record<string, string> = {}
  for (const option of options) {
    const [name, value] = await readSecret(option, sources)
    if (name in secrets) throw usage(`the secret ${name} is given twice`)
    secrets[name] = value
  }
  return secrets
}

async function readSecret(option: string, sources: SecretSources): Promise<[name: string, value: string]> {
  const equals = option.indexOf('=')
  const name = equals < 0 ? option : option.slice(0, equals)
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw usage(`${JSON.stringify(name)} cannot be the name of a secret`, 'letters, digits and underscores, not a digit first')
  if (equals >= 0) {
    if (option[equals + 1] !== '@')
      throw usage(
        `the value of the secret ${name} must not stand on the command line, where every user of this machine and the shell's history can read it`,
        `--secret ${name} takes it from the environment variable ${name} or asks; --secret ${name}=@FILE reads a file`,
      )
    return [name, fileContent(name, option.slice(equals + 2))]
  }
  const given = sources.variable(name)
  if (given !== undefined) return [name, given]
  if (sources.ask) return [name, await sources.ask(name)]
  throw usage(`no value for the secret ${name}`, `set the environment variable ${name}, or give --secret ${name}=@FILE`)
}

function fileContent(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw usage(`cannot read the file of the secret ${name}: ${(error as Error).message}`)
  }
}

function usage(message: string, hint?: string): CliError {
  return new CliError('usage', EXIT.usage, message, hint)
}

import { readFileSync } from 'node:fs'
import { text as streamText } from 'node:stream/consumers'
import { InvalidArgumentError } from 'commander'
import { CliError } from './cli-error.ts'
import { EXIT } from './exit-codes.ts'

/** For commander: an option that may be given several times. */
export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value]
}

/** For commander: a whole number, `minimum` or more. */
export function count(minimum = 1): (value: string) => number {
  return (value) => {
    const number = Number(value)
    if (!Number.isSafeInteger(number) || number < minimum)
      throw new InvalidArgumentError(`It has to be a whole number, ${minimum} or more.`)
    return number
  }
}

/** For commander: a number above zero. */
export function positive(value: string): number {
  const number = Number(value)
  if (!Number.isFinite(number) || number <= 0) throw new InvalidArgumentError('It has to be a number above 0.')
  return number
}

/** For commander: KEY=VALUE, several times. */
export function keyValue(value: string, previous: Record<string, string> = {}): Record<string, string> {
  const equals = value.indexOf('=')
  if (equals < 1) throw new InvalidArgumentError('It has to be KEY=VALUE.')
  return { ...previous, [value.slice(0, equals)]: value.slice(equals + 1) }
}

/** A text file named on the command line. */
export function readTextFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new CliError('usage', EXIT.usage, `cannot read ${path}: ${(error as Error).message}`)
  }
}

/** An argument itself, or with `-` what stands on stdin. */
export async function textOrStdin(argument: string): Promise<string> {
  return argument === '-' ? await streamText(process.stdin) : argument
}

/** A JSON object: `{...}` itself, `@FILE`, or `-` for stdin. */
export async function jsonObject(argument: string, what: string): Promise<Record<string, unknown>> {
  const text = argument.startsWith('@') ? readTextFile(argument.slice(1)) : await textOrStdin(argument)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new CliError(
      'usage',
      EXIT.usage,
      `${what} is not JSON: ${(error as Error).message}`,
      `such as '{"path": "README.md"}', @FILE, or - for stdin`,
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CliError('usage', EXIT.usage, `${what} has to be a JSON object`, `such as '{"path": "README.md"}'`)
  return value as Record<string, unknown>
}

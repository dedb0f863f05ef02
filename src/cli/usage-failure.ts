import type { Command, CommanderError } from 'commander'
import { EXIT } from './exit-codes.ts'
import type { Failure } from './failure.ts'

/** What commander refused, told as all other errors are. @param argv as it was given to the program */
export function usageFailure(error: CommanderError, program: Command, argv: readonly string[]): Failure {
  const command = named(program, argv)
  const [message = '', ...more] =
    error.code === 'commander.help' ? ['no command given'] : error.message.replace(/^error: /, '').split('\n')
  // "(Did you mean ...?)"
  const guess = more.map((line) => line.replace(/^\((.*)\)$/, '$1 '))
  return { code: 'usage', message, hint: `${guess.join('')}${command} --help says what there is`, exitCode: EXIT.usage }
}

/** The command that the arguments name, as far as they name one: `cloister session create`. */
function named(program: Command, argv: readonly string[]): string {
  const path = [program.name()]
  let command = program
  for (const argument of argv) {
    const next = command.commands.find((each) => each.name() === argument || each.aliases().includes(argument))
    if (next) {
      command = next
      path.push(next.name())
    } else if (!argument.startsWith('-') && command !== program) break
  }
  return path.join(' ')
}

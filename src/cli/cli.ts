import { CommanderError } from 'commander'
import { EXIT } from './exit-codes.ts'
import { failureText, toFailure } from './failure.ts'
import { Output } from './output.ts'
import { makeProgram } from './program.ts'
import { usageFailure } from './usage-failure.ts'

async function main(argv: readonly string[]): Promise<void> {
  // `cloister ... | head` ends the reader before us.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(EXIT.ok)
  })
  // Of no interest to anybody any more; how it ended is told by the exit code.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  const json = argv.includes('--json')
  const program = makeProgram({ json })
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    // Help or the version was asked for.
    if (error instanceof CommanderError && error.exitCode === 0) return
    const { exitCode, ...failure } = error instanceof CommanderError ? usageFailure(error, program, argv) : toFailure(error)
    const out = new Output({ out: process.stdout, err: process.stderr }, { json, color: false })
    // Help for want of a command says more than an error would, and is printed already.
    if (json || !(error instanceof CommanderError && error.code === 'commander.help'))
      out.error({ error: failure }, failureText({ ...failure, exitCode }))
    process.exitCode = exitCode
  }
}

await main(process.argv.slice(2))

import { CommanderError } from 'commander'
import { EXIT } from './exit-codes.ts'
import { failureText, toFailure } from './failure.ts'
import { Output } from './output.ts'
import { makeProgram } from './program.ts'

async function main(argv: readonly string[]): Promise<void> {
  // `cloister ... | head` ends the reader before us.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(EXIT.ok)
  })
  const program = makeProgram()
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    // Commander has printed what it had to say.
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage
      return
    }
    const options = program.opts<{ json?: boolean }>()
    const { exitCode, ...failure } = toFailure(error)
    const out = new Output({ out: process.stdout, err: process.stderr }, { json: options.json === true, color: false })
    out.error({ error: failure }, failureText({ ...failure, exitCode }))
    process.exitCode = exitCode
  }
}

await main(process.argv.slice(2))

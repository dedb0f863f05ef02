import type { ExitCode } from './exit-codes.ts'

/** Ends the command: `message` on stderr, with what would help. `code` names it for scripts (`--json`). */
export class CliError extends Error {
  readonly code: string
  readonly exitCode: ExitCode
  readonly hint: string | undefined

  constructor(code: string, exitCode: ExitCode, message: string, hint?: string) {
    super(message)
    this.name = 'CliError'
    this.code = code
    this.exitCode = exitCode
    this.hint = hint
  }
}

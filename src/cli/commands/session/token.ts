import type { Command } from 'commander'
import { count } from '../../arguments.ts'
import { contextOf } from '../../context.ts'
import { time } from '../../render.ts'
import { sessionId } from '../../session-id.ts'

export function addSessionToken(session: Command): void {
  session
    .command('token <session>')
    .description('mint a credential that can invoke tools in this session and do nothing else (for MCP clients)')
    .option('--expires-in <seconds>', 'how long it is valid, 60 to 604800 (7 days); without it an hour', count(60))
    .addHelpText(
      'after',
      `
Examples:
  TOKEN=$(cloister session token ses_01k...)
  TOKEN=$(cloister session token first --expires-in 604800)      good for 7 days`,
    )
    .action(async (given: string, options: { expiresIn?: number }, command: Command) => {
      const { client, out } = contextOf(command)
      const id = await sessionId(client, given)
      const minted = await client.createSessionToken(id, { expires_in_seconds: options.expiresIn })
      // Alone on stdout, so that a shell can take it as it is.
      out.result(minted, () => minted.token)
      if (!out.json) out.note(`valid until ${time(minted.expires_at)} UTC`)
    })
}

import type { Command } from 'commander'
import { contextOf } from '../../context.ts'
import { time } from '../../render.ts'
import { sessionId } from '../../session-id.ts'

export function addSessionToken(session: Command): void {
  session
    .command('token <session>')
    .description('mint a credential that can invoke tools in this session and do nothing else (for MCP clients)')
    .addHelpText('after', '\nExample:\n  TOKEN=$(cloister session token ses_01k...)')
    .action(async (given: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const id = await sessionId(client, given)
      const minted = await client.createSessionToken(id)
      // Alone on stdout, so that a shell can take it as it is.
      out.result(minted, () => minted.token)
      if (!out.json) out.note(`valid until ${time(minted.expires_at)} UTC`)
    })
}

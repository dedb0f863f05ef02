import type { Command } from 'commander'
import { contextOf } from '../context.ts'
import { sessionId } from '../session-id.ts'

export function addMcp(program: Command): void {
  program
    .command('mcp')
    .description("a session's tools for MCP clients that speak over stdin and stdout")
    .requiredOption('--session <session>', 'id or name of the session')
    .addHelpText(
      'after',
      `
Example:
  claude mcp add cloister -- npx cloister mcp --session first

Meant to be started by an MCP client, not by hand. It logs in as you do and then acts with a credential of this one session, which can invoke
its tools and nothing else. With CLOISTER_TOKEN set to such a credential it uses that.`,
    )
    .action(async (options: { session: string }, command: Command) => {
      const { client, url, environment, credentials } = contextOf(command)
      const me = await client.me()
      const id = me.session_id ?? (await sessionId(client, options.session))
      // Here, because it takes a while to load, and no other command needs it.
      const { bridgeMcp } = await import('../bridge-mcp.ts')
      await bridgeMcp({
        url: new URL(`${url}/v1/sessions/${encodeURIComponent(id)}/mcp`),
        credential: async () => (me.kind === 'user' ? (await client.createSessionToken(id)).token : null),
        ownToken: environment.token ?? credentials.get(url)?.token,
      })
    })
}

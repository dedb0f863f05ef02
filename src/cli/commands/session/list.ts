import type { Command } from 'commander'
import { count } from '../../arguments.ts'
import { contextOf } from '../../context.ts'
import { time } from '../../render.ts'
import { table } from '../../table.ts'

interface Options {
  state?: string
  owner?: string
  query?: string
  limit?: number
  cursor?: string
}

export function addSessionList(session: Command): void {
  session
    .command('list')
    .alias('ls')
    .description('your sessions, newest first (an admin sees all)')
    .option('--state <state>', 'only those in this state: initializing, idle, busy, closed, error')
    .option('--owner <name>', "only this owner's (admins)")
    .option('-q, --query <text>', 'only those whose id or name holds this')
    .option('--limit <number>', 'entries of a page, at most 200', count())
    .option('--cursor <cursor>', 'the page after the one that gave this')
    .addHelpText(
      'after',
      '\nExamples:\n  cloister session list --state idle\n  cloister session list --json | jq -r ".sessions[].id"',
    )
    .action(async (options: Options, command: Command) => {
      const { client, out } = contextOf(command)
      const { query, ...rest } = options
      const page = await client.listSessions({ ...rest, ...(query === undefined ? {} : { q: query }) })
      out.result(page, () => {
        const rows = page.sessions.map((each) => [
          each.id,
          each.state,
          each.owner.actor_id,
          time(each.last_activity_at),
          each.name,
        ])
        const more = page.next_cursor ? `\nmore: --cursor ${page.next_cursor}` : ''
        return rows.length === 0
          ? 'no sessions'
          : table(['ID', 'STATE', 'OWNER', 'LAST ACTIVITY', 'NAME'], rows, out.width) + more
      })
    })
}

import type { Command } from 'commander'
import { count } from '../../arguments.ts'
import { contextOf } from '../../context.ts'
import { eventLine } from '../../event-line.ts'
import { EXIT } from '../../exit-codes.ts'
import { sessionId } from '../../session-id.ts'

interface Options {
  after?: number
  follow?: boolean
  verify?: boolean
}

export function addSessionEvents(session: Command): void {
  session
    .command('events <session>')
    .description("the session's log: everything that happened, in order")
    .option('--after <seq>', 'only what came after this sequence number', count(0))
    .option('-f, --follow', 'go on printing what happens')
    .option('--verify', 'recompute the hash chain instead; exit with 1 if it is broken')
    .addHelpText(
      'after',
      `
Examples:
  cloister session events ses_01k...
  cloister session events ses_01k... --follow --json      one event a line
  cloister session events ses_01k... --verify`,
    )
    .action(async (given: string, options: Options, command: Command) => {
      const { client, out } = contextOf(command)
      const id = await sessionId(client, given)
      if (options.verify) {
        const verdict = await client.verifyEvents(id)
        out.result(verdict, () =>
          verdict.valid
            ? `the chain of ${verdict.events} events is whole`
            : `the chain is broken at event ${verdict.broken_at}: ${verdict.reason ?? ''}`,
        )
        if (!verdict.valid) process.exitCode = EXIT.failed
        return
      }
      const after = options.after ?? 0
      const entries = options.follow ? client.streamEvents(id, { after }) : client.allEvents(id, { after })
      for await (const entry of entries) {
        if (!('seq' in entry)) continue
        if (out.json) out.record(entry)
        else out.line(eventLine(entry))
      }
    })
}

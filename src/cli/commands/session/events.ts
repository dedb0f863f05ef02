import type { Command } from 'commander'
import type { Delta, Event } from '../../../client/cloister-client.ts'
import { count } from '../../arguments.ts'
import { contextOf } from '../../context.ts'
import { eventLine } from '../../event-line.ts'
import { EXIT } from '../../exit-codes.ts'
import { leavable } from '../../interruptible.ts'
import { sessionId } from '../../session-id.ts'

interface Options {
  after?: number
  follow?: boolean
  verify?: boolean
  deleted?: boolean
}

export function addSessionEvents(session: Command): void {
  session
    .command('events <session>')
    .description("the session's log: everything that happened, in order")
    .option('--after <seq>', 'only what came after this sequence number', count(0))
    .option('-f, --follow', 'go on printing what happens')
    .option('--deleted', 'of a session that was deleted, given by its id')
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
      const { deleted = false } = options
      const id = deleted ? given : await sessionId(client, given)
      if (options.verify) {
        const verdict = await client.verifyEvents(id, { deleted })
        out.result(verdict, () =>
          verdict.valid
            ? `the chain of ${verdict.events} events is whole`
            : `the chain is broken at event ${verdict.broken_at}: ${verdict.reason ?? ''}`,
        )
        if (!verdict.valid) process.exitCode = EXIT.failed
        return
      }
      const after = options.after ?? 0
      let last = after
      const print = async (entries: AsyncIterable<Event | Delta>) => {
        for await (const entry of entries) {
          if (!('seq' in entry)) continue
          if (out.json) out.record(entry)
          else out.line(eventLine(entry))
          last = entry.seq
        }
      }
      if (!options.follow) return await print(client.allEvents(id, { after, deleted }))
      const onRetry = (failures: number) => {
        if (failures === 2) out.note('the connection is lost; trying again')
      }
      const goesOn = () => `the session goes on; cloister session events ${id} --follow --after ${last} goes on from here`
      await leavable(out, goesOn, () => print(client.streamEvents(id, { after, deleted, onRetry })))
    })
}

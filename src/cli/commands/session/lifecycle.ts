import type { Command } from 'commander'
import { contextOf } from '../../context.ts'
import { leavable } from '../../interruptible.ts'
import { sessionFields } from '../../render.ts'
import { sessionId } from '../../session-id.ts'
import { waitUntilReady } from '../../wait-until-ready.ts'

export function addSessionLifecycle(session: Command): void {
  session
    .command('get <session>')
    .description('one session')
    .addHelpText('after', '\nExample:\n  cloister session get ses_01k... --json')
    .action(async (given: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const id = await sessionId(client, given)
      const found = await client.getSession(id)
      out.result({ session: found }, () => sessionFields(found))
    })

  session
    .command('close <session>')
    .description('stop it and keep its files; restore brings it back')
    .addHelpText('after', '\nExample:\n  cloister session close ses_01k...')
    .action(async (given: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const id = await sessionId(client, given)
      const closed = await client.closeSession(id)
      out.result({ session: closed }, () => `closed ${closed.id}; its files are kept`)
    })

  session
    .command('restore <session>')
    .description('bring a closed session back: same files, secrets and instructions; its setup runs again')
    .option('--wait', 'wait until it is ready; exit with 1 if its setup fails')
    .addHelpText('after', '\nExample:\n  cloister session restore ses_01k... --wait')
    .action(async (given: string, options: { wait?: boolean }, command: Command) => {
      const context = contextOf(command)
      const id = await sessionId(context.client, given)
      const restored = await context.client.restoreSession(id)
      const ready = options.wait
        ? await leavable(
            context.out,
            () => `${id} goes on being set up: cloister session get ${id}`,
            () => waitUntilReady(context, restored),
          )
        : restored
      context.out.result({ session: ready }, () => `restored ${ready.id}, ${ready.state}`)
    })

  session
    .command('delete <session>')
    .description('destroy its sandbox and files; the record of what was done is kept')
    .addHelpText('after', '\nExample:\n  cloister session delete ses_01k...')
    .action(async (given: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const id = await sessionId(client, given)
      const answer = await client.deleteSession(id)
      out.result(
        answer,
        () => `deleted ${id}; its files are destroyed, its events are kept: cloister session events ${id} --deleted`,
      )
    })

  session
    .command('interrupt <session>')
    .description('stop what the agent is doing; the session goes on with the next message')
    .addHelpText('after', '\nExample:\n  cloister session interrupt ses_01k...')
    .action(async (given: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const id = await sessionId(client, given)
      const before = await client.getSession(id)
      const interrupted = await client.interruptSession(id)
      out.result({ session: interrupted }, () =>
        before.state === 'busy'
          ? `interrupted ${id}, ${interrupted.state}`
          : `${id} is ${before.state}: there was nothing to interrupt`,
      )
    })
}

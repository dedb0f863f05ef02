import type { Command } from 'commander'
import type { InvocationStatus } from '../../client/cloister-client.ts'
import { count } from '../arguments.ts'
import { contextOf } from '../context.ts'
import { saveOrPrint } from '../download.ts'
import { argsInFull, duration, size, time } from '../render.ts'
import { sessionId } from '../session-id.ts'
import { table } from '../table.ts'
import { invocationText } from './tool.ts'

export function addInvocation(program: Command): void {
  const invocation = program.command('invocation').description('invocations: the record of every call of a tool')

  invocation
    .command('list <session>')
    .alias('ls')
    .description('the calls of a session, newest first')
    .option('--tool <name>', 'only of this tool')
    .option('--status <status>', 'pending_approval, running, succeeded, failed or denied')
    .option('--limit <number>', 'entries of a page, at most 200', count())
    .option('--cursor <cursor>', 'the page after the one that gave this')
    .addHelpText('after', '\nExample:\n  cloister invocation list ses_01k... --status denied')
    .action(
      async (
        given: string,
        options: { tool?: string; status?: InvocationStatus; limit?: number; cursor?: string },
        command: Command,
      ) => {
        const { client, out } = contextOf(command)
        const id = await sessionId(client, given)
        const page = await client.listInvocations(id, options)
        out.result(page, () => {
          const rows = page.invocations.map((each) => [
            each.id,
            each.tool_name,
            each.error ? `${each.status} (${each.error.code})` : each.status,
            `${each.actor.kind}:${each.actor.id}`,
            time(each.started_at),
            duration(each.duration_ms),
          ])
          const more = page.next_cursor ? `\nmore: --cursor ${page.next_cursor}` : ''
          return rows.length === 0
            ? 'no invocations'
            : table(['ID', 'TOOL', 'STATUS', 'BY', 'STARTED', 'TOOK'], rows, out.width) + more
        })
      },
    )

  invocation
    .command('get <invocation>')
    .description('one call: its arguments, how it ended, what it gave')
    .addHelpText('after', '\nExample:\n  cloister invocation get inv_01k... --json')
    .action(async (id: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const found = await client.getInvocation(id)
      out.result({ invocation: found }, () => `${argsInFull(found.args)}\n\n${invocationText(found)}`.trimStart())
    })

  invocation
    .command('logs <invocation>')
    .description('what it wrote while it ran')
    .addHelpText('after', '\nExample:\n  cloister invocation logs inv_01k...')
    .action(async (id: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const { logs } = await client.invocationLogs(id)
      out.result({ logs }, () =>
        logs.map((line) => `${line.at.slice(11, 23)} ${line.channel.padEnd(8)} ${line.message}`).join('\n'),
      )
    })

  invocation
    .command('artifacts <invocation> [artifact]')
    .description('the files that it left behind; with ARTIFACT (id or name) its content, as it is')
    .option('-o, --output <file>', 'write the content to a file')
    .addHelpText(
      'after',
      '\nExamples:\n  cloister invocation artifacts inv_01k...\n  cloister invocation artifacts inv_01k... test-output.txt -o out.txt',
    )
    .action(async (id: string, wanted: string | undefined, options: { output?: string }, command: Command) => {
      const { client, out } = contextOf(command)
      const { artifacts } = await client.invocationArtifacts(id)
      if (wanted === undefined) {
        const rows = artifacts.map((each) => [
          each.id,
          each.name,
          each.content_type,
          size(each.size_bytes),
          each.sha256.slice(0, 12),
        ])
        out.result({ artifacts }, () =>
          rows.length === 0 ? 'no artifacts' : table(['ID', 'NAME', 'TYPE', 'SIZE', 'SHA-256'], rows, out.width),
        )
        return
      }
      const artifactId = artifacts.find((each) => each.id === wanted || each.name === wanted)?.id ?? wanted
      const content = await client.downloadArtifact(id, artifactId)
      await saveOrPrint(content, options.output, out)
    })

  invocation
    .command('cancel <invocation>')
    .description('kill what it runs')
    .addHelpText('after', '\nExample:\n  cloister invocation cancel inv_01k...')
    .action(async (id: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const cancelled = await client.cancelInvocation(id)
      out.result({ invocation: cancelled }, () => invocationText(cancelled))
    })
}

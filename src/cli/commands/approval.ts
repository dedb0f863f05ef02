import type { Command } from 'commander'
import type { ApprovalStatus } from '../../client/cloister-client.ts'
import { count } from '../arguments.ts'
import { contextOf } from '../context.ts'
import { approvalFields, argsLine, time } from '../render.ts'
import { table } from '../table.ts'

const DECISIONS = [
  { decision: 'approve', what: 'say yes: exactly that call runs, once', did: 'approved' },
  { decision: 'deny', what: 'say no', did: 'denied' },
  { decision: 'revoke', what: 'take back a yes that was not used yet, or what is pending', did: 'revoked' },
] as const

export function addApproval(program: Command): void {
  const approval = program.command('approval').description("approvals: a person's single-use yes or no to one exact call")

  approval
    .command('list')
    .alias('ls')
    .description('approvals, newest first')
    .option('--status <status>', 'pending (default), approved, denied, expired, used, revoked or all', 'pending')
    .option('--session <session>', 'only of this session')
    .option('--limit <number>', 'entries of a page, at most 200', count())
    .option('--cursor <cursor>', 'the page after the one that gave this')
    .addHelpText('after', '\nExamples:\n  cloister approval list\n  cloister approval list --session ses_01k... --status all')
    .action(
      async (
        options: { status: ApprovalStatus | 'all'; session?: string; limit?: number; cursor?: string },
        command: Command,
      ) => {
        const { client, out } = contextOf(command)
        const { status, ...rest } = options
        const page = await client.listApprovals({ ...rest, ...(status === 'all' ? {} : { status }) })
        out.result(page, () => {
          const rows = page.approvals.map((each) => [
            each.id,
            each.status,
            each.session_id,
            each.tool_name,
            time(each.created_at),
            argsLine(each.args, 40),
          ])
          const more = page.next_cursor ? `\nmore: --cursor ${page.next_cursor}` : ''
          return rows.length === 0
            ? 'nothing waits'
            : table(['ID', 'STATUS', 'SESSION', 'TOOL', 'ASKED', 'ARGS'], rows, out.width) + more
        })
      },
    )

  approval
    .command('get <approval>')
    .description('what is to be decided, in full')
    .addHelpText('after', '\nExample:\n  cloister approval get apr_01k...')
    .action(async (id: string, _options: object, command: Command) => {
      const { client, out } = contextOf(command)
      const found = await client.getApproval(id)
      out.result({ approval: found }, () => approvalFields(found))
    })

  for (const { decision, what, did } of DECISIONS)
    approval
      .command(`${decision} <approval>`)
      .description(what)
      .option('--reason <text>', 'why, for the record')
      .addHelpText('after', `\nExample:\n  cloister approval ${decision} apr_01k... --reason "looked at the diff"`)
      .action(async (id: string, options: { reason?: string }, command: Command) => {
        const { client, out } = contextOf(command)
        const decided = await client.decideApproval(id, decision, options.reason)
        out.result({ approval: decided }, () => `${did} ${decided.id}: ${decided.tool_name} ${argsLine(decided.args)}`)
      })
}

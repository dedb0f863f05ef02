import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { ApiError, type ApprovalStatus, type CloisterClient, type Invocation } from '../../client/cloister-client.ts'
import { count } from '../arguments.ts'
import { CliError } from '../cli-error.ts'
import { contextOf } from '../context.ts'
import { decideApproval } from '../decide-approval.ts'
import { EXIT, exitCodeOf } from '../exit-codes.ts'
import { approvalFields, argsLine, outcome, time } from '../render.ts'
import { sessionIdOrAnothers } from '../session-id.ts'
import { table } from '../table.ts'

/** How long a call that was approved is waited for, in ms, and how often it is asked for. */
const SOON_MS = 2000
const POLL_MS = 100

const APPROVE_HELP = `
Says how the call ended if it ends within ${SOON_MS / 1000} seconds, and else how to look at it. Exits with 0 when the call began, however it ends, and
with 3 when it did not: what it would change, or the policy, is another than when it was asked for.
`

const DECISIONS = [
  { decision: 'approve', what: 'say yes: exactly that call runs, once', did: 'approved', more: APPROVE_HELP },
  { decision: 'deny', what: 'say no', did: 'denied', more: '' },
  { decision: 'revoke', what: 'take back a yes that was not used yet, or what is pending', did: 'revoked', more: '' },
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
        const { status, session, ...rest } = options
        const found = session === undefined ? undefined : await sessionIdOrAnothers(client, session)
        const page = await client.listApprovals({ ...rest, session: found?.id, ...(status === 'all' ? {} : { status }) })
        if (found?.own === false && page.approvals.length === 0) out.note(`no session of yours is called ${session}`)
        out.result(page, () => {
          const rows = page.approvals.map((each) => [
            each.id,
            each.status,
            each.tool_name,
            time(each.created_at),
            each.session_id,
            argsLine(each.args, 40),
          ])
          const more = page.next_cursor ? `\nmore: --cursor ${page.next_cursor}` : ''
          return rows.length === 0
            ? status === 'pending'
              ? 'nothing waits'
              : 'no approvals'
            : table(['ID', 'STATUS', 'TOOL', 'ASKED', 'SESSION', 'ARGS'], rows, out.width) + more
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

  for (const { decision, what, did, more } of DECISIONS)
    approval
      .command(`${decision} <approval>`)
      .description(what)
      .option('--reason <text>', 'why, for the record')
      .addHelpText('after', `${more}\nExample:\n  cloister approval ${decision} apr_01k... --reason "looked at the diff"`)
      .action(async (id: string, options: { reason?: string }, command: Command) => {
        const { client, out } = contextOf(command)
        const { approval, refusal } = await decideApproval(client, id, decision, options.reason)
        const invocation = decision === 'approve' ? await soonOver(client, approval.invocation_id) : null
        const why = refusal ?? (invocation?.status === 'denied' ? outcome(invocation) : null)
        if (why !== null) throw notRun(why, invocation)
        out.result({ approval, ...(decision === 'approve' ? { invocation } : {}) }, () =>
          [
            `${did} ${approval.id}: ${approval.tool_name} ${argsLine(approval.args)}`.trimEnd(),
            ...(invocation ? [callText(invocation)] : []),
          ].join('\n'),
        )
      })
}

/** The call, when it ended or `SOON_MS` passed; null: who may approve it may not see it. */
async function soonOver(client: CloisterClient, id: string): Promise<Invocation | null> {
  const deadline = Date.now() + SOON_MS
  try {
    for (;;) {
      const invocation = await client.getInvocation(id)
      if ((invocation.status !== 'running' && invocation.status !== 'pending_approval') || Date.now() > deadline)
        return invocation
      await sleep(POLL_MS)
    }
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return null
    throw error
  }
}

function callText(invocation: Invocation): string {
  const { id, tool_name, status } = invocation
  if (status === 'running') return `${id} ${tool_name} runs; how it ends: cloister invocation get ${id}`
  if (status === 'pending_approval') return `${id} ${tool_name} has not begun yet: cloister invocation get ${id}`
  return `${id} ${tool_name} ${outcome(invocation)}`
}

function notRun(why: string, invocation: Invocation | null): CliError {
  const code = invocation?.error?.code ?? 'not_run'
  return new CliError(
    code,
    invocation?.error ? exitCodeOf(code) : EXIT.denied,
    `not run: ${why}`,
    invocation ? `the call is over: cloister invocation get ${invocation.id}` : undefined,
  )
}

import type { Command } from 'commander'
import type { CloisterClient, Invocation } from '../../../client/cloister-client.ts'
import { contextOf } from '../../context.ts'
import { EXIT } from '../../exit-codes.ts'
import { time } from '../../render.ts'
import { sessionId } from '../../session-id.ts'
import { table } from '../../table.ts'
import { usable } from './usable.ts'

export function addReplay(policy: Command): void {
  policy
    .command('replay')
    .description("decide a session's recorded calls again under another set of policies, and show what would differ")
    .requiredOption('--session <session>', 'id or name of the session whose calls are fetched from the server')
    .option('--policy <dir>', 'the policies (default: those that Cloister comes with)')
    .addHelpText(
      'after',
      `
The calls are decided here, with the roles and the network on record; nothing runs. Exits with 0 when nothing would differ, with 1
when something would. What cannot be decided again (arguments lost to redaction) is listed and counts for neither.

Example:
  cloister policy replay --session ses_01k... --policy ./stricter`,
    )
    .action(async (options: { session: string; policy?: string }, command: Command) => {
      const { client, out } = contextOf(command)
      const session = await client.getSession(await sessionId(client, options.session))
      const invocations = await allInvocations(client, session.id)
      const { tools } = await client.listTools(session.id)
      const { version, calls } = await usable(async ({ offlinePolicy, replay }) => {
        const decider = await offlinePolicy(options.policy ?? null, tools)
        return { version: decider.version, calls: await replay(decider, session, invocations) }
      })
      const of = (verdict: string) => calls.filter((call) => call.verdict === verdict)
      const summary = {
        same: of('same').length,
        differs: of('differs').length,
        undecidable: of('undecidable').length,
        undecided: of('undecided').length,
      }
      out.result({ session_id: session.id, policy_version: version, summary, calls }, () => {
        const rows = calls
          .filter(({ verdict }) => verdict === 'differs' || verdict === 'undecidable')
          .map((call) => [call.invocation_id, call.tool_name, call.verdict, time(call.started_at), call.reason ?? ''])
        const counts = `${summary.same} the same, ${summary.differs} different, ${summary.undecidable} undecidable, ${summary.undecided} that policy was never asked about`
        return rows.length === 0
          ? counts
          : `${table(['INVOCATION', 'TOOL', 'VERDICT', 'STARTED', 'WHAT'], rows, out.width)}\n${counts}`
      })
      if (summary.differs > 0) process.exitCode = EXIT.failed
    })
}

/** Oldest first. */
async function allInvocations(client: CloisterClient, sessionId: string): Promise<Invocation[]> {
  const all: Invocation[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await client.listInvocations(sessionId, { limit: 200, cursor })
    all.push(...page.invocations)
    if (page.next_cursor === null) return all.reverse()
    cursor = page.next_cursor
  }
}

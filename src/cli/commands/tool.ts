import type { Command } from 'commander'
import type { Invocation, ToolQuery } from '../../client/cloister-client.ts'
import { jsonObject } from '../arguments.ts'
import { contextOf } from '../context.ts'
import { EXIT, exitCodeOf } from '../exit-codes.ts'
import { leavable } from '../interruptible.ts'
import { argsInFull, outcome } from '../render.ts'
import { sessionId } from '../session-id.ts'
import { table } from '../table.ts'

interface ListOptions extends Omit<ToolQuery, 'side_effects'> {
  sideEffects?: ToolQuery['side_effects']
  compact?: boolean
}

interface InvokeOptions {
  approved?: boolean
  requestApproval?: boolean
  correlationId?: string
}

export function addTool(program: Command): void {
  const tool = program.command('tool').description('tools: the only way anything is done in a session')

  tool
    .command('list <session>')
    .alias('ls')
    .description('the tools that a session may use')
    .option('--family <family>', 'only these, such as fs')
    .option('--risk <risk>', 'low, medium or high')
    .option('--scope <scope>', 'repo, workspace, cluster or external')
    .option('--side-effects <effects>', 'none, reversible or irreversible')
    .option('--compact', 'with --json: without schemas and statistics, small enough for the context of a model')
    .addHelpText('after', '\nExamples:\n  cloister tool list ses_01k...\n  cloister tool list ses_01k... --family git --json')
    .action(async (given: string, { sideEffects, compact = false, ...options }: ListOptions, command: Command) => {
      const { client, out } = contextOf(command)
      const id = await sessionId(client, given)
      const query = { ...options, side_effects: sideEffects }
      const { tools } =
        out.json && !compact ? await client.listTools(id, query) : await client.listTools(id, { ...query, detail: 'compact' })
      out.result({ tools }, () => {
        const rows = tools.map((each) => [
          each.name,
          each.risk_level,
          each.side_effects,
          each.requires_approval ? 'yes' : '-',
          each.description,
        ])
        return rows.length === 0 ? 'no tools' : table(['TOOL', 'RISK', 'EFFECTS', 'APPROVAL', 'WHAT IT DOES'], rows, out.width)
      })
    })

  tool
    .command('invoke <session> <tool> [args]')
    .description('call one tool; ARGS is a JSON object, @FILE, or - for stdin')
    .option('--approved', 'approve it yourself in the same step, if you may')
    .option('--request-approval', 'if it needs approval, ask for it and exit with 3 instead of being refused')
    .option('--correlation-id <id>', 'the same call with the same id is made once')
    .addHelpText(
      'after',
      `
Examples:
  cloister tool invoke ses_01k... fs.list
  cloister tool invoke ses_01k... fs.read '{"path": "README.md"}'
  cloister tool invoke ses_01k... fs.write '{"path": "notes.txt", "content": "hola"}' --approved`,
    )
    .action(async (given: string, name: string, args: string | undefined, options: InvokeOptions, command: Command) => {
      const { client, out } = contextOf(command)
      const parsed = args === undefined ? {} : await jsonObject(args, 'ARGS')
      const id = await sessionId(client, given)
      const invocation = await leavable(
        out,
        () => `the call goes on: cloister invocation list ${id} --tool ${name} shows it, cloister invocation cancel stops it`,
        () =>
          client.invokeTool(id, name, {
            args: parsed,
            approved: options.approved,
            request_approval: options.requestApproval,
            correlation_id: options.correlationId,
          }),
      )
      out.result({ invocation }, () => invocationText(invocation))
      if (invocation.status === 'pending_approval') {
        const approval = invocation.approval?.approval_id
        out.note(
          `waits for an approval: cloister approval approve ${approval ?? '<approval>'}   (cloister approval list --session ${id})`,
        )
      }
      process.exitCode = exitCodeOfInvocation(invocation)
    })
}

/** The tool's answer for people: its output, then how it ended. */
export function invocationText(invocation: Invocation): string {
  const output = invocation.output && Object.keys(invocation.output).length > 0 ? `${argsInFull(invocation.output)}\n` : ''
  const cut = invocation.truncated ? `\n(cut; the whole is in the artifact ${invocation.output_ref ?? 'named above'})` : ''
  return `${output}${invocation.id} ${invocation.tool_name} ${outcome(invocation)}${cut}`
}

export function exitCodeOfInvocation(invocation: Invocation): number {
  switch (invocation.status) {
    case 'succeeded':
    case 'running':
      return EXIT.ok
    case 'pending_approval':
      return EXIT.denied
    case 'denied':
      return invocation.error ? exitCodeOf(invocation.error.code) : EXIT.denied
    case 'failed':
      return EXIT.failed
  }
}

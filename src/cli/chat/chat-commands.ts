import type { Approval, CloisterClient } from '../../client/cloister-client.ts'
import { decideApproval } from '../decide-approval.ts'
import { diffParts } from '../diff/diff-parts.ts'
import type { Output } from '../output.ts'
import { approvalFields, argsInFull, outcome, sessionFields } from '../render.ts'
import { table } from '../table.ts'
import type { NumberedCalls } from './numbered-calls.ts'

/** What a command of a conversation works with. */
export interface ChatDesk {
  readonly client: CloisterClient
  readonly sessionId: string
  readonly out: Output
  readonly calls: NumberedCalls
}

interface ChatCommand {
  /** As it is typed, with its arguments. */
  readonly usage: string
  readonly what: string
  /** @returns whether the conversation goes on */
  readonly run: (desk: ChatDesk, args: string) => Promise<boolean>
}

const GOES_ON = true
const DID = { approve: 'approved', deny: 'denied' } as const

export const CHAT_COMMANDS: Readonly<Record<string, ChatCommand>> = {
  '/help': { usage: '/help', what: 'this', run: async ({ out }) => said(out, chatHelp()) },
  '/tools': { usage: '/tools', what: 'what the agent can use', run: tools },
  '/diff': { usage: '/diff', what: 'what has changed in the workspace, against the last commit', run: diff },
  '/show': { usage: '/show [NUMBER]', what: 'all that a call wrote and gave; without a number the last one', run: show },
  '/approve': { usage: '/approve [ID]', what: 'approve what waits', run: (desk, args) => decide(desk, 'approve', args) },
  '/deny': { usage: '/deny [ID] [WHY]', what: 'deny it', run: (desk, args) => decide(desk, 'deny', args) },
  '/status': { usage: '/status', what: 'the session, and what waits for approval', run: status },
  '/close': { usage: '/close', what: 'close the session, and leave; its files are kept', run: close },
  '/exit': { usage: '/exit', what: 'leave (so do Ctrl-D, and Ctrl-C twice); the session goes on', run: async () => !GOES_ON },
}

/** Says what can be typed. */
export function chatHelp(): string {
  const rows = Object.values(CHAT_COMMANDS).map(({ usage, what }) => `${usage.padEnd(17)} ${what}`)
  return [
    ...rows,
    `${'Ctrl-C'.padEnd(17)} interrupts the agent while it works`,
    'A backslash at the end of a line goes on with the next. What begins with a space is not kept in the history.',
  ].join('\n')
}

export function completeCommand(line: string): string[] {
  return Object.keys(CHAT_COMMANDS).filter((name) => line.startsWith('/') && name.startsWith(line))
}

/** Runs what was typed. @returns whether the conversation goes on */
export async function runChatCommand(desk: ChatDesk, line: string): Promise<boolean> {
  const [, name = '', args = ''] = /^(\S+)\s*([\s\S]*)$/.exec(line) ?? []
  const command = CHAT_COMMANDS[name === '/quit' ? '/exit' : name]
  if (command) return command.run(desk, args.trim())
  desk.out.note(`there is no ${name}; /help says what there is`)
  return GOES_ON
}

function said(out: Output, text: string): boolean {
  out.note(text)
  return GOES_ON
}

async function tools({ client, sessionId, out }: ChatDesk): Promise<boolean> {
  const { tools: found } = await client.listTools(sessionId, { detail: 'compact' })
  const rows = found.map((tool) => [tool.name, tool.requires_approval ? 'asks' : '', tool.description])
  out.line(table(['TOOL', 'APPROVAL', 'WHAT IT DOES'], rows, out.width))
  return GOES_ON
}

async function diff({ client, sessionId, out }: ChatDesk): Promise<boolean> {
  // Through the gate, as every call: what is not committed yet, staged or not.
  const { status, output, error } = await client.invokeTool(sessionId, 'git.diff', { args: { base: 'HEAD' } })
  const text = String(output?.['diff'] ?? '')
  if (status !== 'succeeded') out.note(`git.diff ${status}: ${error?.message ?? ''}`)
  else if (text === '') out.note('nothing has changed (files that git does not know are not in it)')
  else for (const line of diffParts(text.replace(/\n$/, '').split('\n'))) out.styledLine(line)
  return GOES_ON
}

async function show({ client, out, calls }: ChatDesk, given: string): Promise<boolean> {
  const id = calls.find(given)
  if (id === undefined) return said(out, calls.count === 0 ? 'there was no call yet' : `there are the calls 1 to ${calls.count}`)
  const [invocation, { logs }] = await Promise.all([client.getInvocation(id), client.invocationLogs(id)])
  out.styledLine([[invocation.tool_name, 'bold'], [`  ${outcome(invocation)}`], [`  ${id}`, 'dim']])
  out.line(argsInFull(invocation.args))
  for (const line of logs) out.line(line.message)
  if (invocation.output) out.line(argsInFull(invocation.output))
  if (invocation.artifacts.length > 0)
    out.note(`files: cloister invocation artifacts ${id}   (${invocation.artifacts.map(({ name }) => name).join(', ')})`)
  return GOES_ON
}

async function decide({ client, sessionId, out }: ChatDesk, decision: 'approve' | 'deny', args: string): Promise<boolean> {
  const [, given, why = ''] = /^(apr_\w+)?\s*([\s\S]*)$/.exec(args) ?? []
  const { approvals } = await client.listApprovals({ session: sessionId, status: 'pending' })
  const found = given === undefined ? approvals : approvals.filter(({ id }) => id === given)
  const [approval] = found
  if (!approval) return said(out, given === undefined ? 'nothing waits for approval' : `${given} does not wait for approval here`)
  if (found.length > 1) {
    // Which one is meant has to be said: an approval is for exactly one call.
    for (const each of found) showApproval(out, each)
    return said(out, `${found.length} wait: say which one`)
  }
  showApproval(out, approval)
  const { refusal } = await decideApproval(client, approval.id, decision, why === '' ? undefined : why)
  return said(out, refusal === null ? `${DID[decision]} ${approval.id}` : `not run: ${refusal}`)
}

function showApproval(out: Output, approval: Approval): void {
  out.line(approvalFields(approval))
}

async function status({ client, sessionId, out }: ChatDesk): Promise<boolean> {
  const [session, { approvals }] = await Promise.all([
    client.getSession(sessionId),
    client.listApprovals({ session: sessionId, status: 'pending' }),
  ])
  out.line(sessionFields(session))
  for (const { id, tool_name } of approvals) out.line(`waits for approval: ${tool_name} (${id})`)
  return GOES_ON
}

async function close({ client, sessionId, out }: ChatDesk): Promise<boolean> {
  await client.closeSession(sessionId)
  out.note(`closed ${sessionId}; its files are kept, cloister session restore ${sessionId} brings it back`)
  return !GOES_ON
}

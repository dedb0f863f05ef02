import type { Command } from 'commander'
import { approveAll, askPerson, tellHow } from '../../approver.ts'
import { type Context, contextOf } from '../../context.ts'
import { Conversation } from '../../conversation.ts'
import { followTurn } from '../../follow-turn.ts'
import { interruptTurn } from '../../interruptible.ts'
import { table } from '../../table.ts'
import { TextView } from '../../turn-view.ts'

const HELP = `/help   this
/tools  what the agent can use
/quit   leave (so do Ctrl-D, and Ctrl-C twice)
Ctrl-C  interrupts the agent while it works`

export function addSessionChat(session: Command): void {
  session
    .command('chat <session>')
    .description('talk with the agent: its text as it comes, its calls as they happen, its approvals asked here')
    .option('-y, --yes', 'approve whatever the agent asks for; each is printed')
    .addHelpText(
      'after',
      `\nExamples:\n  cloister session chat ses_01k...\n  cloister session chat ses_01k... --yes < questions.txt\n\nIn the conversation:\n${HELP}`,
    )
    .action(async (id: string, options: { yes?: boolean }, command: Command) => {
      const context = contextOf(command)
      const conversation = new Conversation(context.prompter !== undefined)
      try {
        await chat(context, id, conversation, options.yes === true)
      } finally {
        conversation.close()
      }
    })
}

async function chat(context: Context, id: string, conversation: Conversation, yes: boolean): Promise<void> {
  const { client, out, prompter } = context
  const session = await client.getSession(id)
  out.note(`${session.name || session.id}, ${session.model ?? 'the default model'}. /help says what there is besides talking.`)
  const view = new TextView(out)
  const approver = yes
    ? approveAll(context, view)
    : prompter
      ? askPerson(context, view, (prompt) => conversation.ask(prompt))
      : tellHow(view, true)
  for (;;) {
    const line = await conversation.next('you> ')
    if (line === null) return
    const content = line.trim()
    if (content === '') continue
    if (content === '/quit' || content === '/exit') return
    if (content === '/help') out.note(HELP)
    else if (content === '/tools') {
      const { tools } = await client.listTools(id, { detail: 'compact' })
      const rows = tools.map((tool) => [tool.name, tool.requires_approval ? 'asks' : '', tool.description])
      out.line(table(['TOOL', 'APPROVAL', 'WHAT IT DOES'], rows, out.width))
    } else if (/^\/[a-z]+$/.test(content)) out.note(`there is no ${content}; /help says what there is`)
    else {
      const end = await conversation.during(
        () => void interruptTurn(client, id, view),
        () => followTurn({ client, session_id: id, content, view, approver }),
      )
      view.turnEnded(end)
    }
  }
}

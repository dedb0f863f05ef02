import type { Command } from 'commander'
import { Chat } from '../../chat/chat.ts'
import { chatHelp } from '../../chat/chat-commands.ts'
import { CliError } from '../../cli-error.ts'
import { contextOf } from '../../context.ts'
import { EXIT } from '../../exit-codes.ts'
import { sessionId } from '../../session-id.ts'

export function addSessionChat(session: Command): void {
  session
    .command('chat <session>')
    .description('talk with the agent: its text as it comes, its calls as they happen, its approvals asked here')
    .option('-y, --yes', 'approve whatever the agent asks for; each is printed')
    .addHelpText(
      'after',
      `\nExamples:\n  cloister session chat ses_01k...\n  cloister session chat fix-it\n  cloister session chat ses_01k... --yes < questions.txt\n\nIn the conversation:\n${chatHelp().replace(/^/gm, '  ')}`,
    )
    .action(async (given: string, options: { yes?: boolean }, command: Command) => {
      const context = contextOf(command)
      if (context.out.json)
        throw new CliError(
          'usage',
          EXIT.usage,
          'a conversation is for people: it has no JSON',
          'cloister session send --json has',
        )
      await new Chat(context, await sessionId(context.client, given), options.yes === true).run()
    })
}

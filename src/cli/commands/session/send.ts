import type { Command } from 'commander'
import { approveAll, askPerson, tellHow } from '../../approver.ts'
import { textOrStdin } from '../../arguments.ts'
import type { CallNames } from '../../call-display.ts'
import { CliError } from '../../cli-error.ts'
import { contextOf } from '../../context.ts'
import { EXIT } from '../../exit-codes.ts'
import { followTurn } from '../../follow-turn.ts'
import { interruptible } from '../../interruptible.ts'
import { JsonView } from '../../json-view.ts'
import type { Prompter } from '../../prompt.ts'
import { sessionId } from '../../session-id.ts'
import { TextView } from '../../text-view.ts'
import type { TurnView } from '../../turn-view.ts'

const BY_ID: CallNames = { label: () => '', how: (id) => `cloister invocation get ${id}` }

interface Options {
  yes?: boolean
  /** commander: `--no-wait` makes it false. */
  wait: boolean
  detach?: boolean
}

export function addSessionSend(session: Command): void {
  session
    .command('send <session> <message>')
    .description('send a message (- for stdin) and watch the agent until it has answered')
    .option('-y, --yes', 'approve whatever the agent asks for; each is printed')
    .option('--no-wait', 'exit with 3 at the first approval that nobody here can give')
    .option('--detach', 'do not watch')
    .addHelpText(
      'after',
      `
Approvals are asked for here when there is a terminal; otherwise the command that gives them is printed, and send waits.
Ctrl-C interrupts the agent; a second one leaves at once. While the message waits for its turn, the first one leaves, and the message stays.

Examples:
  cloister session send ses_01k... "make the tests pass"
  cloister session send ses_01k... - --yes < task.md
  cloister session send ses_01k... "go on" --json         events and deltas, one a line`,
    )
    .action(async (given: string, message: string, options: Options, command: Command) => {
      const context = contextOf(command)
      const { client, out, prompter } = context
      const content = await textOrStdin(message)
      const id = await sessionId(client, given)
      if (options.detach) {
        const { turn_id, message: posted } = await client.postMessage(id, content)
        return out.result(
          { message: posted, turn_id },
          () => `sent ${posted.id}; cloister session events ${id} --follow shows what comes of it`,
        )
      }

      const view = out.json ? new JsonView(out) : new TextView(out, BY_ID)
      const approver = options.yes
        ? approveAll(context, view)
        : prompter && !out.json && options.wait
          ? askPerson(context, view, (prompt, signal) => asked(prompter, prompt, signal, id, view))
          : tellHow(view, options.wait)
      const end = await interruptible(client, id, view, (onStage) =>
        followTurn({ client, session_id: id, turn: { content }, view, approver, onStage }),
      )
      view.turnEnded(end)
      if (end.status !== 'completed') process.exitCode = EXIT.failed
    })
}

/** While a question is open, the terminal hands on Ctrl-C as a key: it means what it means at any other time. */
async function asked(
  prompter: Prompter,
  prompt: string,
  signal: AbortSignal,
  sessionId: string,
  view: TurnView,
): Promise<string | null> {
  try {
    return await prompter.ask(prompt, signal)
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    if (error.code === 'interrupted') process.emit('SIGINT')
    else if (error.code === 'no_answer') view.note(`it stays open: cloister approval list --session ${sessionId}`)
    else throw error
    return null
  }
}

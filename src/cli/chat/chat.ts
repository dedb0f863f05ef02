import { ApiError, ConnectionError } from '../../client/cloister-client.ts'
import { type Approver, approveAll, askPerson, tellHow } from '../approver.ts'
import type { Context } from '../context.ts'
import { failureText, toFailure } from '../failure.ts'
import { followTurn, type Watch } from '../follow-turn.ts'
import { interruptTurn } from '../interruptible.ts'
import { Output } from '../output.ts'
import { runningTurn } from '../running-turn.ts'
import { TextView } from '../text-view.ts'
import { type ChatDesk, completeCommand, runChatCommand } from './chat-commands.ts'
import { Conversation, isCommand } from './conversation.ts'
import { HistoryFile } from './history-file.ts'
import { NumberedCalls } from './numbered-calls.ts'

/** Connections that may fail in a row at a terminal, where somebody sees it and can leave: about five minutes. */
const ATTEMPTS = 60

/** A conversation with the agent of a session, until the person leaves. */
export class Chat {
  readonly #context: Context
  readonly #sessionId: string
  readonly #conversation: Conversation
  readonly #out: Output
  readonly #view: TextView
  readonly #approver: Approver
  readonly #terminal: boolean
  readonly #calls = new NumberedCalls()
  /** A command ended the conversation, and has said so. */
  #left = false

  /** @param yes approve whatever the agent asks for */
  constructor(context: Context, sessionId: string, yes: boolean) {
    const { environment, prompter, out } = context
    this.#context = context
    this.#sessionId = sessionId
    this.#terminal = prompter !== undefined
    const history = new HistoryFile(environment.historyFile)
    this.#conversation = new Conversation({
      terminal: this.#terminal,
      dumb: environment.dumbTerminal,
      history: this.#terminal ? this.#tried(() => history.load(), []) : [],
      remember: (entry) => this.#tried(() => history.add(entry), undefined),
      complete: completeCommand,
      command: (line) => void this.#patiently(() => this.#command(line)),
      say: (text) => this.#out.note(text),
    })
    this.#out = new Output(
      { out: this.#conversation.above(process.stdout), err: this.#conversation.above(process.stderr) },
      { json: false, color: out.color, canErase: () => out.canErase && !this.#conversation.prompting },
    )
    this.#view = new TextView(this.#out, this.#calls)
    const asking = { client: context.client }
    this.#approver = yes
      ? approveAll(asking, this.#view)
      : this.#terminal
        ? askPerson(asking, this.#view, (prompt, signal) => this.#ask(prompt, signal))
        : tellHow(this.#view, true)
  }

  async run(): Promise<void> {
    try {
      await this.#begin()
      for (;;) {
        const line = await this.#conversation.next('you> ')
        if (line === null) return
        const content = line.trim()
        if (content !== '' && !(await this.#patiently(() => this.#take(content)))) return
      }
    } finally {
      this.#conversation.close()
    }
  }

  /** What was said last, and the turn that runs. */
  async #begin(): Promise<void> {
    const { client } = this.#context
    const session = await client.getSession(this.#sessionId)
    this.#out.note(
      `${session.name || session.id}, ${session.model ?? 'the default model'}, ${session.state}. /help says what there is besides talking.`,
    )
    if (!this.#terminal) return
    const { last, running } = await this.#past()
    for (const { role, content } of last)
      if (role === 'user') this.#view.message(content)
      else if (role === 'agent') this.#view.recorded(null, content)
      else this.#view.note(content)
    this.#view.turnOver()
    if (running) await this.#follow(running)
  }

  async #past() {
    const { client } = this.#context
    const running = await runningTurn(client, this.#sessionId)
    const messages = []
    for (let cursor: string | undefined; ; ) {
      const page = await client.listMessages(this.#sessionId, { limit: 200, ...(cursor === undefined ? {} : { cursor }) })
      messages.push(...page.messages)
      if (page.next_cursor === null) break
      cursor = page.next_cursor
    }
    const from = messages.findLastIndex(({ role }) => role === 'user')
    return { last: from === -1 ? [] : messages.slice(from), running }
  }

  /** @returns whether the conversation goes on */
  async #take(content: string): Promise<boolean> {
    return isCommand(content) ? await this.#command(content) : await this.#follow({ content })
  }

  /** @returns whether the conversation goes on */
  async #command(content: string): Promise<boolean> {
    const desk: ChatDesk = {
      client: this.#context.client,
      sessionId: this.#sessionId,
      out: this.#out,
      calls: this.#calls,
    }
    if (await runChatCommand(desk, content)) return true
    this.#left = true
    // A turn that is followed is left by it.
    this.#conversation.close()
    return false
  }

  /** An answer to a question; commands are none, and act at once. */
  async #ask(prompt: string, signal: AbortSignal): Promise<string | null> {
    for (;;) {
      const answer = await this.#conversation.ask(prompt, signal)
      if (answer === null || !isCommand(answer)) return answer
      if (!(await this.#patiently(() => this.#command(answer.trim())))) return null
    }
  }

  async #follow(turn: Watch['turn']): Promise<boolean> {
    const { client } = this.#context
    const end = await this.#conversation.during(
      () => void interruptTurn(client, this.#sessionId, this.#view),
      () =>
        followTurn({
          client,
          session_id: this.#sessionId,
          turn,
          view: this.#view,
          approver: this.#approver,
          ...(this.#terminal && { attempts: ATTEMPTS }),
        }),
    )
    if (end) this.#view.turnEnded(end)
    else if (!this.#left) this.#out.note(`the agent goes on; cloister session chat ${this.#sessionId} comes back to it`)
    return end !== null
  }

  /** At a terminal what fails is shown, and the next line is asked for; without one it ends the program. */
  async #patiently(work: () => Promise<boolean>): Promise<boolean> {
    try {
      return await work()
    } catch (error) {
      if (!this.#terminal || !(error instanceof ApiError || error instanceof ConnectionError)) throw error
      this.#view.turnOver()
      this.#out.note(failureText(toFailure(error)))
      return true
    }
  }

  /** A history that cannot be read or written is no reason not to talk. */
  #tried<T>(action: () => T, otherwise: T): T {
    try {
      return action()
    } catch (error) {
      process.stderr.write(`(no history: ${(error as Error).message})\n`)
      return otherwise
    }
  }
}

import type { Command } from 'commander'
import { addSessionChat } from './session/chat.ts'
import { addSessionCreate } from './session/create.ts'
import { addSessionEvents } from './session/events.ts'
import { addSessionLifecycle } from './session/lifecycle.ts'
import { addSessionList } from './session/list.ts'
import { addSessionSend } from './session/send.ts'
import { addSessionToken } from './session/token.ts'

export function addSession(program: Command): void {
  const session = program.command('session').description('sessions: an isolated sandbox with persistent files, and an agent')
  addSessionCreate(session)
  addSessionList(session)
  addSessionLifecycle(session)
  addSessionSend(session)
  addSessionChat(session)
  addSessionEvents(session)
  addSessionToken(session)
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Session } from '../client/cloister-client.ts'
import { CliError } from './cli-error.ts'
import type { Context } from './context.ts'
import { EXIT } from './exit-codes.ts'

const POLL_MS = 200

/** Waits until a session has been initialized. @throws CliError when that failed, with the reason that the session gives */
export async function waitUntilReady(context: Pick<Context, 'client'>, created: Session): Promise<Session> {
  let session = created
  while (session.state === 'initializing') {
    await sleep(POLL_MS)
    session = await context.client.getSession(session.id)
  }
  if (session.state === 'error')
    throw new CliError(
      'session_error',
      EXIT.failed,
      `the session ${session.id} could not be set up: ${session.state_reason ?? 'no reason recorded'}`,
      `cloister session restore ${session.id} tries again; cloister session events ${session.id} shows what happened`,
    )
  return session
}

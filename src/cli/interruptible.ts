import type { CloisterClient } from '../client/cloister-client.ts'
import { ApiError } from '../client/cloister-client.ts'
import { INTERRUPTED } from './exit-codes.ts'
import type { TurnStage } from './follow-turn.ts'
import type { Output } from './output.ts'
import type { TurnView } from './turn-view.ts'

/**
 * While `work` runs, Ctrl-C interrupts the agent's turn; a second one ends this program. Before the turn began it ends the program at
 * once: what runs in the session then is somebody else's.
 * @param work is given what it has to call when it knows more of its turn
 */
export async function interruptible<T>(
  client: CloisterClient,
  sessionId: string,
  view: TurnView,
  work: (onStage: (stage: TurnStage) => void) => Promise<T>,
): Promise<T> {
  let stage: TurnStage = 'unsent'
  let asked = false
  const leave = (what: string) => {
    view.note(`left: ${what}`)
    process.exit(INTERRUPTED)
  }
  const onInterrupt = () => {
    if (stage === 'unsent') leave('the message was not sent')
    if (stage === 'sent')
      leave(
        `the message stays, and is answered when its turn comes. cloister session chat ${sessionId} shows it, cloister session interrupt ${sessionId} stops what the agent does`,
      )
    if (asked) leave(`the agent may be at work still. cloister session chat ${sessionId} comes back to it`)
    asked = true
    void interruptTurn(client, sessionId, view)
  }
  process.on('SIGINT', onInterrupt)
  try {
    return await work((now) => {
      stage = now
    })
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}

/** While `work` runs, Ctrl-C ends this program, and `left` says what becomes of what it asked for. */
export async function leavable<T>(out: Output, left: () => string, work: () => Promise<T>): Promise<T> {
  const onInterrupt = () => {
    const message = `left: ${left()}`
    out.error({ error: { code: 'interrupted', message } }, message)
    process.exit(INTERRUPTED)
  }
  process.on('SIGINT', onInterrupt)
  try {
    return await work()
  } finally {
    process.off('SIGINT', onInterrupt)
  }
}

/** Never throws: what went wrong is shown. A turn that has just ended cannot be interrupted, which is as good. */
export async function interruptTurn(client: CloisterClient, sessionId: string, view: TurnView): Promise<void> {
  view.note('interrupting (Ctrl-C again to leave)')
  try {
    await client.interruptSession(sessionId)
  } catch (error) {
    if (error instanceof ApiError && error.code === 'conflict') return
    view.problem(`could not interrupt: ${(error as Error).message}`)
  }
}

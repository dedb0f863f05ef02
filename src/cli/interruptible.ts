import type { CloisterClient } from '../client/cloister-client.ts'
import { ApiError } from '../client/cloister-client.ts'
import type { TurnView } from './turn-view.ts'

/** While `work` runs, Ctrl-C interrupts the agent's turn; a second one ends this program. */
export async function interruptible<T>(
  client: CloisterClient,
  sessionId: string,
  view: TurnView,
  work: () => Promise<T>,
): Promise<T> {
  let asked = false
  const onInterrupt = () => {
    if (asked) process.exit(130)
    asked = true
    void interruptTurn(client, sessionId, view)
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

import type { CloisterClient, Event } from '../client/cloister-client.ts'

/** A turn that began before somebody came to watch. */
export interface RunningTurn {
  turn_id: string
  /** From its start until now, in the order of the log. */
  recorded: Event[]
}

/** The turn that a session is in now, with all that is recorded of it; null: it is in none. */
export async function runningTurn(client: CloisterClient, sessionId: string): Promise<RunningTurn | null> {
  let running: RunningTurn | null = null
  for await (const event of client.allEvents(sessionId)) {
    if (event.type === 'turn.started') running = { turn_id: String(event.data['turn_id']), recorded: [] }
    running?.recorded.push(event)
    if (event.type === 'turn.completed' || event.type === 'turn.interrupted') running = null
  }
  return running
}

import type { CloisterClient } from '../client/cloister-client.ts'

/** Number of the last event that a session has now; 0 for none. */
export async function lastSeq(client: CloisterClient, sessionId: string): Promise<number> {
  let after = 0
  for (;;) {
    const { events } = await client.listEvents(sessionId, { after, limit: 1000 })
    const last = events.at(-1)
    if (!last) return after
    after = last.seq
    if (events.length < 1000) return after
  }
}

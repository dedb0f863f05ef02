import { setTimeout as sleep } from 'node:timers/promises'
import type { Delta, Event } from '../domain/event.ts'
import { ApiError, ConnectionError } from './api-error.ts'
import { serverSentEvents } from './server-sent-events.ts'
import type { Transport } from './transport.ts'

export interface FollowOptions {
  /** Events with a greater seq; default 0: all. */
  after?: number
  /** Also of a session that is deleted. */
  deleted?: boolean
  /** Ends the stream without an error. */
  signal?: AbortSignal
  /** How often in a row a connection may fail, and ms before the second attempt (doubled each time, at most 5 s). */
  retry?: { attempts: number; delay_ms: number }
  /** The connection is gone and will be taken up again; `failures` counts the attempts that failed in a row. */
  onRetry?: (failures: number) => void
}

const RETRY = { attempts: 10, delay_ms: 250 }

/**
 * A session's events as they happen, each once and in order, deltas among them. A connection that is cut is taken up again after
 * the last event that was seen; deltas of the time between are lost. Ends after `session.deleted`, or by `signal`.
 * @throws ApiError what the server refuses; ConnectionError when it cannot be reached any more
 */
export async function* followEvents(
  transport: Transport,
  sessionId: string,
  options: FollowOptions = {},
): AsyncGenerator<Event | Delta, void> {
  const { signal, retry = RETRY } = options
  let last = options.after ?? 0
  let deleted = options.deleted ?? false
  let connected = false
  let failures = 0
  while (!signal?.aborted) {
    try {
      const response = await transport.send('GET', `/v1/sessions/${encodeURIComponent(sessionId)}/events`, {
        query: { after: last, deleted: deleted || undefined },
        headers: { accept: 'text/event-stream', ...(last > 0 ? { 'last-event-id': String(last) } : {}) },
        signal,
      })
      connected = true
      for await (const { data } of serverSentEvents(bytesOf(response))) {
        failures = 0
        const entry = JSON.parse(data) as Event | Delta
        if ('seq' in entry) {
          if (entry.seq <= last) continue
          last = entry.seq
        }
        yield entry
        if (entry.type === 'session.deleted') return
      }
      // Ended by the server, which stops or restarts: come back.
      failures++
      if (failures > retry.attempts) throw new ConnectionError(response.url, new Error('the stream keeps ending'))
    } catch (error) {
      if (signal?.aborted) return
      if (error instanceof ApiError) {
        // Deleted while we were away: its last events are still there.
        if (error.code === 'not_found' && connected && !deleted) {
          deleted = true
          continue
        }
        if (error.status < 500 && error.status !== 429) throw error
      }
      failures++
      if (failures > retry.attempts) throw error
    }
    options.onRetry?.(failures)
    const delay = Math.min(retry.delay_ms * 2 ** Math.max(0, failures - 1), 5000)
    await sleep(delay, undefined, { signal }).catch((error: unknown) => {
      if (!signal?.aborted) throw error
    })
  }
}

async function* bytesOf(response: Response): AsyncGenerator<Uint8Array, void> {
  if (!response.body) return
  try {
    yield* response.body
  } catch (error) {
    throw new ConnectionError(response.url, error)
  }
}

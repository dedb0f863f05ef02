import { Readable } from 'node:stream'
import type { Delta, Event } from '../domain/event.ts'
import type { EventLog } from '../services/event-log.ts'

/** Events read from the log at once. */
const PAGE = 200
/** Characters of entries that wait for a slow reader. Beyond it they are dropped: events are read from the log later, deltas are lost. */
const INBOX_LIMIT = 1_048_576

export interface StreamRequest {
  sessionId: string
  /** The last seq that the reader has; 0: none. */
  after: number
  /** Asked at each heartbeat; false ends the stream. */
  stillAllowed: () => Promise<boolean>
  /** The reader took nothing for too long: cut the connection. */
  drop: () => void
}

interface Waiting {
  /** Null: a delta. */
  seq: number | null
  last: boolean
  text: string
}

/**
 * Server-sent events of sessions. The log is the truth: what is heard live is a hint to send the next event, and whenever the hint
 * is not the next one (first connect, a reader that lagged, events heard out of order) the log is read from where the reader is.
 * So there is no gap and no duplicate, and what waits for a slow reader is bounded.
 */
export class EventStreams {
  readonly #log: EventLog
  readonly #timing: { heartbeat_ms: number; stall_ms: number }
  readonly #ends = new Set<() => void>()

  constructor(log: EventLog, timing: { heartbeat_ms: number; stall_ms: number } = { heartbeat_ms: 15_000, stall_ms: 60_000 }) {
    this.#log = log
    this.#timing = timing
  }

  get open(): number {
    return this.#ends.size
  }

  /** Ends all streams, orderly. Readers come back with what they have. */
  endAll(): void {
    for (const end of this.#ends) end()
  }

  /** The stream ends after `session.deleted`. `end` must be called when the reader is gone. */
  start(request: StreamRequest): { stream: Readable; end: () => void } {
    const log = this.#log
    const { sessionId } = request
    const inbox: Waiting[] = []
    let inboxSize = 0
    let last = request.after
    let behind = true
    let beat = false
    let ended = false
    let waitingSince: number | null = null
    let wake = () => {}

    const unsubscribe = log.subscribe(sessionId, (entry) => {
      const seq = 'seq' in entry ? entry.seq : null
      const text = seq === null ? renderDelta(entry as Delta) : renderEvent(entry as Event)
      if (inboxSize + text.length > INBOX_LIMIT) {
        inbox.length = 0
        inboxSize = 0
        behind = true
      } else {
        inbox.push({ seq, text, last: entry.type === 'session.deleted' })
        inboxSize += text.length
      }
      wake()
    })

    const timer = setInterval(() => {
      if (waitingSince !== null && Date.now() - waitingSince > this.#timing.stall_ms) {
        end()
        request.drop()
        return
      }
      beat = true
      wake()
      void request.stillAllowed().then((allowed) => {
        if (!allowed) end()
      })
    }, this.#timing.heartbeat_ms)
    timer.unref()

    const end = () => {
      if (ended) return
      ended = true
      clearInterval(timer)
      unsubscribe()
      this.#ends.delete(end)
      wake()
    }
    this.#ends.add(end)

    async function* chunks(): AsyncGenerator<string, void> {
      yield 'retry: 1000\n\n'
      while (!ended) {
        if (behind) {
          behind = false
          let page: Event[]
          do {
            page = await log.list(sessionId, last, PAGE)
            for (const event of page) {
              if (ended) return
              last = event.seq
              yield renderEvent(event)
              if (event.type === 'session.deleted') return
            }
          } while (page.length === PAGE)
        }
        const next = inbox.shift()
        if (next) {
          inboxSize -= next.text.length
          if (next.seq === null) yield next.text
          else if (next.seq === last + 1) {
            last = next.seq
            yield next.text
            if (next.last) return
          } else if (next.seq > last) behind = true
        } else if (beat) {
          beat = false
          yield ': heartbeat\n\n'
        } else if (!behind && !ended) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
      }
    }

    // While the reader takes what it is given the next chunk is asked for at once; a chunk that stays untaken means that it stalls.
    async function* timed(): AsyncGenerator<string, void> {
      try {
        for await (const chunk of chunks()) {
          waitingSince = Date.now()
          yield chunk
          waitingSince = null
        }
      } finally {
        end()
      }
    }

    return { stream: Readable.from(timed(), { objectMode: false, highWaterMark: 65_536 }), end }
  }
}

/** An event with its seq as id, so that `Last-Event-ID` resumes after it. */
export function renderEvent(event: Event): string {
  const { session_id, seq, type, at, actor, data, prev_hash, hash } = event
  return `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify({ session_id, seq, type, at, actor, data, prev_hash, hash })}\n\n`
}

/** A delta has no id: it is in no log. */
export function renderDelta(delta: Delta): string {
  const { session_id, type, at, data } = delta
  return `event: ${type}\ndata: ${JSON.stringify({ session_id, type, at, data })}\n\n`
}

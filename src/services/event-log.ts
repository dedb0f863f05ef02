import { EventEmitter } from 'node:events'
import type { ChainVerdict, Delta, Event, EventType } from '../domain/event.ts'
import type { Actor } from '../domain/principal.ts'
import type { Store } from '../store/store.ts'

/** Appends an event in the transaction at hand. Subscribers hear of it after the commit. */
export type Emit = (sessionId: string, type: EventType, actor: Actor, data: Record<string, unknown>) => Promise<Event>

type Listener = (entry: Event | Delta) => void

/**
 * The session's log: the truth of what happened. State changes and the events that tell of them are written in one transaction,
 * so neither is ever there without the other.
 */
export class EventLog {
  readonly #store: Store
  readonly #clock: () => Date
  readonly #hub = new EventEmitter().setMaxListeners(0)
  readonly #all = new EventEmitter().setMaxListeners(0)

  constructor(store: Store, clock: () => Date = () => new Date()) {
    this.#store = store
    this.#clock = clock
  }

  /** Runs `work` in a transaction; what it emitted is published after the commit, in order. Nothing is published if it throws. */
  async transaction<T>(work: (tx: Store, emit: Emit) => Promise<T>): Promise<T> {
    const emitted: Event[] = []
    const result = await this.#store.transaction((tx) =>
      work(tx, async (sessionId, type, actor, data) => {
        const event = await tx.events.append(sessionId, { type, at: this.#clock().toISOString(), actor, data })
        emitted.push(event)
        return event
      }),
    )
    for (const event of emitted) {
      this.#hub.emit(event.session_id, event)
      this.#all.emit('event', event)
    }
    return result
  }

  append(sessionId: string, type: EventType, actor: Actor, data: Record<string, unknown>): Promise<Event> {
    return this.transaction((_tx, emit) => emit(sessionId, type, actor, data))
  }

  /** Streams to whoever listens now. Not stored. */
  delta(sessionId: string, type: Delta['type'], data: Record<string, unknown>): void {
    const delta: Delta = { session_id: sessionId, type, at: this.#clock().toISOString(), data }
    this.#hub.emit(sessionId, delta)
  }

  /** @returns what ends the subscription */
  subscribe(sessionId: string, listener: Listener): () => void {
    this.#hub.on(sessionId, listener)
    return () => this.#hub.off(sessionId, listener)
  }

  /** Events of every session, without deltas: for counting. @returns what ends the subscription */
  subscribeAll(listener: (event: Event) => void): () => void {
    this.#all.on('event', listener)
    return () => this.#all.off('event', listener)
  }

  list(sessionId: string, after: number, limit: number): Promise<Event[]> {
    return this.#store.events.list(sessionId, after, limit)
  }

  verify(sessionId: string): Promise<ChainVerdict> {
    return this.#store.events.verify(sessionId)
  }
}

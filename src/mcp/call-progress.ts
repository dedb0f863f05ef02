import type { Delta, Event } from '../domain/event.ts'
import type { Actor } from '../domain/principal.ts'

type Notify = (progress: { progress: number; message: string }) => Promise<void>

/** Characters of output in one notification; what is more is left out, and stands in the result. */
const MESSAGE = 2_000

/** Follows one call in the log of its session: which invocation it is, and what its command prints. */
export class CallProgress {
  readonly #call: { correlation_id: string; actor: Actor }
  readonly #notify: Notify | null
  #invocationId: string | null = null
  #count = 0
  #sent: Promise<void> = Promise.resolve()
  #gone = false

  /** @param notify null: the client did not ask for progress */
  constructor(call: { correlation_id: string; actor: Actor }, notify: Notify | null) {
    this.#call = call
    this.#notify = notify
  }

  /** Null: the gate has not recorded it yet. */
  get invocationId(): string | null {
    return this.#invocationId
  }

  take(entry: Event | Delta): void {
    if (entry.type === 'invocation.requested' && this.#isMine(entry)) this.#invocationId = String(entry.data['invocation_id'])
    if (entry.type !== 'invocation.output' || entry.data['invocation_id'] !== this.#invocationId) return
    const progress = ++this.#count
    const message = String(entry.data['text']).slice(0, MESSAGE)
    if (!this.#notify || this.#gone) return
    const notify = this.#notify
    this.#sent = this.#sent
      .then(() => notify({ progress, message }))
      .catch(() => {
        // The client left: nobody is there to be told.
        this.#gone = true
      })
  }

  /** Another caller of the session may use the same correlation id: what that one calls is neither shown nor cancelled here. */
  #isMine({ actor, data }: Event): boolean {
    const { correlation_id, actor: me } = this.#call
    return data['correlation_id'] === correlation_id && actor.kind === me.kind && actor.id === me.id
  }

  /** Resolves when everything that was to be told is told. */
  sent(): Promise<void> {
    return this.#sent
  }
}

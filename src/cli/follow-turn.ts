import { type CloisterClient, ConnectionError, type Delta, type Event } from '../client/cloister-client.ts'
import type { Approver } from './approver.ts'
import { lastSeq } from './last-seq.ts'
import { OpenQuestions } from './open-questions.ts'
import type { RunningTurn } from './running-turn.ts'
import type { TurnEnd } from './turn-end.ts'
import { TurnTally } from './turn-tally.ts'
import type { TurnView } from './turn-view.ts'

/** How far it is with a message: `sent` may wait behind other turns. */
export type TurnStage = 'unsent' | 'sent' | 'running'

export interface Watch {
  client: CloisterClient
  session_id: string
  /** A message to send, or the turn that runs already. */
  turn: { content: string } | RunningTurn
  view: TurnView
  approver: Approver
  /** The message is about to be sent; its turn began. */
  onStage?: (stage: TurnStage) => void
  /** How often in a row the connection may fail; absent: as the client has it. */
  attempts?: number
}

/**
 * Sends a message, or joins a turn that runs, and shows the turn until it ends: what was recorded before comes first, nothing that is
 * recorded is missed when the connection breaks. Rejects when the session is gone or the server stays away.
 */
export async function followTurn(watch: Watch): Promise<TurnEnd> {
  const failed = new AbortController()
  const questions = new OpenQuestions(watch.approver, (error) => failed.abort(error))
  try {
    const end = await new TurnFollower(watch, questions).follow(failed.signal)
    failed.signal.throwIfAborted()
    if (end) return end
  } finally {
    await questions.withdrawAll()
  }
  throw new Error('the stream of events ended before the turn did')
}

class TurnFollower {
  readonly #watch: Watch
  readonly #questions: OpenQuestions
  readonly #tally = new TurnTally()
  readonly #calls = new Set<string>()
  #turnId: string | null
  #note: string | null = null

  constructor(watch: Watch, questions: OpenQuestions) {
    this.#watch = watch
    this.#questions = questions
    this.#turnId = 'turn_id' in watch.turn ? watch.turn.turn_id : null
  }

  async follow(signal: AbortSignal): Promise<TurnEnd | null> {
    for await (const entry of this.#entries(signal)) {
      const end = await this.#take(entry)
      if (end) return end
    }
    return null
  }

  async *#entries(signal: AbortSignal): AsyncGenerator<Event | Delta, void> {
    const { client, session_id, turn, view, attempts = 10 } = this.#watch
    const options = {
      signal,
      retry: { attempts, delay_ms: 250 },
      onRetry: (failures: number) => {
        if (failures === 2) view.note('the connection is lost; trying again')
      },
    }
    if ('recorded' in turn) {
      yield* turn.recorded
      yield* client.streamEvents(session_id, { ...options, after: turn.recorded.at(-1)?.seq ?? 0 })
      return
    }
    // A session has at least the event of its creation. Asking for the last one again tells when the stream is open: what is sent
    // before that would be answered by deltas that nobody hears.
    const last = await lastSeq(client, session_id)
    for await (const entry of client.streamEvents(session_id, { ...options, after: last - 1 })) {
      if (this.#turnId === null) {
        this.#watch.onStage?.('sent')
        this.#turnId = (await client.postMessage(session_id, turn.content)).turn_id
      }
      if (!('seq' in entry) || entry.seq > last) yield entry
    }
  }

  async #take(entry: Event | Delta): Promise<TurnEnd | null> {
    const { view, client } = this.#watch
    const { type, data } = entry
    if (type === 'session.deleted' || (type === 'session.state_changed' && data['to'] === 'closed')) {
      const note = `the session was ${type === 'session.deleted' ? 'deleted' : 'closed'}`
      return { turn_id: this.#turnId ?? '', status: 'interrupted', note, usage: null }
    }
    const id = String(data['invocation_id'])
    if (data['turn_id'] !== this.#turnId && !this.#calls.has(id)) return null
    view.entry(entry)
    this.#tally.add(entry)
    switch (type) {
      case 'turn.started':
        this.#watch.onStage?.('running')
        break
      case 'message.delta':
        this.#delta(entry)
        break
      case 'turn.answered':
      case 'turn.step':
        view.recorded(Number(data['step']), String(data['text'] ?? ''))
        break
      case 'message.created':
        if (data['role'] === 'agent') view.recorded(null, String(data['content']))
        if (data['role'] === 'system') this.#note = String(data['content'])
        break
      case 'invocation.requested':
        this.#calls.add(id)
        view.callBegan({ id, tool_name: String(data['tool_name']), args: (data['args'] ?? {}) as Record<string, unknown> })
        break
      case 'invocation.output':
        view.callOutput(id, String(data['text'] ?? ''))
        break
      case 'invocation.completed':
      case 'invocation.denied':
        view.call(await patiently(() => client.getInvocation(id)))
        break
      case 'approval.requested': {
        const approval = await patiently(() => client.getApproval(String(data['approval_id'])))
        // After a broken connection, and for who comes late, it may be decided.
        if (approval.status === 'pending') this.#questions.ask(approval)
        break
      }
      case 'approval.decided':
      case 'approval.expired':
        this.#decided(entry)
        break
      case 'turn.completed':
        return this.#ended(entry, data['status'] === 'failed' || data['status'] === 'limited' ? data['status'] : 'completed')
      case 'turn.interrupted':
        return this.#ended(entry, 'interrupted')
    }
    return null
  }

  #delta({ data }: Event | Delta): void {
    const { view } = this.#watch
    const step = Number(data['step'] ?? 0)
    if (data['reset'] === true) view.reset(step)
    else view.delta(step, String(data['text'] ?? ''))
  }

  #decided({ type, data, ...entry }: Event | Delta): void {
    const by = 'actor' in entry && entry.actor.kind === 'user' ? ` by ${entry.actor.id}` : ''
    const why = typeof data['reason'] === 'string' && data['reason'] !== '' ? `: ${data['reason']}` : ''
    const what = type === 'approval.expired' ? 'expired' : `${String(data['status'])}${by}`
    this.#questions.withdraw(String(data['approval_id']), what + why)
  }

  #ended(entry: Event | Delta, status: TurnEnd['status']): TurnEnd {
    const reason = typeof entry.data['reason'] === 'string' ? entry.data['reason'] : null
    return { turn_id: this.#turnId ?? '', status, note: this.#note ?? reason, usage: this.#tally.usage(entry) }
  }
}

/** Asks again while the server cannot be reached: it may be about to come back. */
async function patiently<T>(request: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request()
    } catch (error) {
      if (!(error instanceof ConnectionError) || attempt === 10) throw error
      await new Promise((resolve) => setTimeout(resolve, Math.min(250 * 2 ** attempt, 5000)))
    }
  }
}

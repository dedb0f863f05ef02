import type { Delta, Event } from '../client/cloister-client.ts'
import type { TurnUsage } from './turn-end.ts'

/** Adds up what a turn took, from its events. */
export class TurnTally {
  #startedAt: number | null = null
  #cost: number | null = null

  add({ type, at, data }: Event | Delta): void {
    if (type === 'turn.started') this.#startedAt = Date.parse(at)
    if (type === 'model.called' && typeof data['cost_usd'] === 'number') this.#cost = (this.#cost ?? 0) + data['cost_usd']
  }

  /** @param end the event that ended it */
  usage({ at, data }: Event | Delta): TurnUsage {
    const { input_tokens, output_tokens } = (data['usage'] ?? {}) as Partial<TurnUsage>
    return {
      seconds: this.#startedAt === null ? null : (Date.parse(at) - this.#startedAt) / 1000,
      input_tokens: input_tokens ?? 0,
      output_tokens: output_tokens ?? 0,
      cost_usd: this.#cost,
    }
  }
}

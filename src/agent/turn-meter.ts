import { addSpent, type Budgets, reachedLimit, type Spent, spentSince } from '../domain/budget.ts'
import type { Price } from './language-model.ts'
import type { ModelUsage } from './model-call.ts'
import type { Wait } from './turn-task.ts'

const MAX_TIMER_MS = 2 ** 31 - 1

export interface TurnMeterOptions {
  budgets: Budgets
  /** Of this turn, by servers before; of the whole session, this turn's included. */
  spent: { turn: Spent; session: Spent }
  now: () => Date
}

/** What a turn uses, against what it may. Time that people take to decide is not counted, nor is the time between two servers. */
export class TurnMeter {
  readonly #budgets: Budgets
  readonly #before: TurnMeterOptions['spent']
  readonly #now: () => Date
  readonly #started: number
  #spent: Spent
  readonly #waits: Wait[] = []

  constructor({ budgets, spent, now }: TurnMeterOptions) {
    this.#budgets = budgets
    this.#before = spent
    this.#spent = spent.turn
    this.#now = now
    this.#started = now().getTime()
  }

  /** A model call that answered. Without a price its cost is not known, and counts as none. */
  add(usage: ModelUsage, price: Price | null, steps: 0 | 1): void {
    const cost_usd = price ? costOf(usage, price) : 0
    this.#spent = addSpent(this.#spent, { steps, tokens: usage.input_tokens + usage.output_tokens, cost_usd, seconds: 0 })
  }

  /** What a person took to decide. Waits may overlap: calls of one answer can ask at the same time. */
  exempt(wait: Wait): void {
    this.#waits.push(wait)
  }

  /** Of the turn, until now. */
  spent(): Spent {
    const seconds = Math.max(0, this.#now().getTime() - this.#started - together(this.#waits)) / 1000
    return { ...this.#spent, seconds: this.#spent.seconds + seconds }
  }

  /** What may not go on, in words; null: there is some left of everything. */
  reached(): string | null {
    const turn = this.spent()
    return reachedLimit('turn', this.#budgets.turn, turn) ?? reachedLimit('session', this.#budgets.session, this.#session(turn))
  }

  /** Time left in ms, infinite without a limit; below zero when it is over. */
  remaining(): number {
    const turn = this.spent()
    const left = (limit: number | null, used: number) => (limit === null ? Number.POSITIVE_INFINITY : (limit - used) * 1000)
    return Math.min(
      left(this.#budgets.turn.seconds, turn.seconds),
      left(this.#budgets.session.seconds, this.#session(turn).seconds),
    )
  }

  /** Aborts when the time is over. `clear` must be called. */
  deadline(): { signal: AbortSignal; clear: () => void } {
    const controller = new AbortController()
    const timer = setTimeout(
      () => controller.abort(new Error('the time of the turn is over')),
      Math.min(Math.max(this.remaining(), 0), MAX_TIMER_MS),
    )
    return { signal: controller.signal, clear: () => clearTimeout(timer) }
  }

  #session(turn: Spent): Spent {
    return addSpent(this.#before.session, spentSince(this.#before.turn, turn))
  }
}

/** Ms that lie in at least one of them. */
function together(waits: readonly Wait[]): number {
  let [sum, until] = [0, Number.NEGATIVE_INFINITY]
  for (const { from, to } of waits.toSorted((a, b) => a.from - b.from)) {
    sum += Math.max(0, to - Math.max(from, until))
    until = Math.max(until, to)
  }
  return sum
}

/** In US dollars. Cached input costs what input costs where the price says nothing else. */
export function costOf(usage: ModelUsage, price: Price): number {
  const { cache_read_tokens, cache_write_tokens } = usage
  const plain = Math.max(0, usage.input_tokens - cache_read_tokens - cache_write_tokens)
  return (
    (plain * price.input +
      cache_read_tokens * (price.cache_read ?? price.input) +
      cache_write_tokens * (price.cache_write ?? price.input) +
      usage.output_tokens * price.output) /
    1_000_000
  )
}

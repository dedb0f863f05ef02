import { setImmediate } from 'node:timers/promises'

const SLICE_MS = 5

/** Lets host serve others (deadlines, cancels) during work that goes on for long in small synchronous steps. */
export class Breather {
  #since = performance.now()

  /** Returns at once, or after others had their turn when the last 5 ms were ours. */
  async pause(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return
    await setImmediate()
    this.#since = performance.now()
  }
}

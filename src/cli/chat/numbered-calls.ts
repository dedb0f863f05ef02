import type { CallNames } from '../call-display.ts'

/** The calls of a conversation by numbers, which are easier to type than ids. */
export class NumberedCalls implements CallNames {
  readonly #ids: string[] = []

  label(id: string): string {
    return `[${this.#numberOf(id)}]`
  }

  how(id: string): string {
    return `/show ${this.#numberOf(id)}`
  }

  /** How many there are. */
  get count(): number {
    return this.#ids.length
  }

  /** @param given a number, an id, or nothing: the last one. @returns undefined when there is none */
  find(given: string): string | undefined {
    if (given.startsWith('inv_')) return given
    return this.#ids[given === '' ? this.#ids.length - 1 : Number(given) - 1]
  }

  #numberOf(id: string): number {
    const known = this.#ids.indexOf(id)
    return known === -1 ? this.#ids.push(id) : known + 1
  }
}

import { AsyncLocalStorage } from 'node:async_hooks'
import type { Kysely } from 'kysely'
import type { Database } from './database.ts'

interface Scope {
  tx: Kysely<Database>
  open: boolean
}

/**
 * Knows in which transaction the calling code runs. The connection is given to one user at a time: whoever asks for it from inside
 * a transaction waits for a transaction that waits for him. So that is refused, with the reason, instead of hanging for ever.
 */
export class TransactionScopes {
  readonly #storage = new AsyncLocalStorage<Scope>()

  /** Runs `work` as the inside of `tx`. What it left running is outside again as soon as `work` is over. */
  async run<T>(tx: Kysely<Database>, work: () => Promise<T>): Promise<T> {
    const scope: Scope = { tx, open: true }
    try {
      return await this.#storage.run(scope, work)
    } finally {
      scope.open = false
    }
  }

  /** The transaction around the calling code, or null. */
  current(): Kysely<Database> | null {
    const scope = this.#storage.getStore()
    return scope?.open ? scope.tx : null
  }

  /** @throws Error if the calling code runs inside a transaction */
  refuseInside(): void {
    if (this.current())
      throw new Error(
        'the store was used inside one of its transactions: use the `tx` that the callback was given, or wait for the end',
      )
  }
}

import type { Money } from './money.ts'

/** One side of a transaction: an account and what is added to it. */
export interface Posting {
  readonly account: string
  readonly amount: Money
}

export interface Transaction {
  /** YYYY-MM-DD */
  readonly date: string
  readonly description: string
  readonly postings: readonly Posting[]
}

import { add, type Money } from './money.ts'
import type { Transaction } from './transaction.ts'

/** Totals by account, then by currency; accounts in alphabetical order. */
export function balances(transactions: readonly Transaction[]): Map<string, Map<string, Money>> {
  const accounts = new Map<string, Map<string, Money>>()
  for (const { account, amount } of transactions.flatMap((transaction) => transaction.postings)) {
    const totals = accounts.get(account) ?? new Map<string, Money>()
    const total = totals.get(amount.currency)
    totals.set(amount.currency, total ? add(total, amount) : amount)
    accounts.set(account, totals)
  }
  return new Map([...accounts].sort(([a], [b]) => (a < b ? -1 : 1)))
}

import { add, formatMoney, type Money } from './money.ts'
import type { Transaction } from './transaction.ts'

/** What is wrong with a transaction, or nothing: the postings of each currency have to add up to zero. */
export function imbalance(transaction: Transaction): string[] {
  const totals = new Map<string, Money>()
  for (const { amount } of transaction.postings) {
    const total = totals.get(amount.currency)
    totals.set(amount.currency, total ? add(total, amount) : amount)
  }
  return [...totals.values()]
    .filter((total) => total.minor !== 0)
    .map((total) => `${transaction.date} ${transaction.description}: off by ${formatMoney(total)}`)
}

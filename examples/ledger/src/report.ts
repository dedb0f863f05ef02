import { formatMoney, type Money } from './money.ts'

/** One line for each account and currency, amounts aligned on the right. */
export function report(accounts: Map<string, Map<string, Money>>): string {
  const rows = [...accounts].flatMap(([account, totals]) => [...totals.values()].map((total) => [account, formatMoney(total)] as const))
  const width = Math.max(0, ...rows.map(([account]) => account.length))
  const amountWidth = Math.max(0, ...rows.map(([, amount]) => amount.length))
  return rows.map(([account, amount]) => `${account.padEnd(width)}  ${amount.padStart(amountWidth)}`).join('\n')
}

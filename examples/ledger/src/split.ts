import { type Money, money } from './money.ts'

/** Shares an amount among some people so that the shares add up to it: who comes first gets what does not divide. */
export function split(amount: Money, people: number): Money[] {
  if (!Number.isInteger(people) || people < 1) throw new RangeError('at least one person has to share')
  const share = Math.floor(amount.minor / people)
  return Array.from({ length: people }, () => money(share, amount.currency))
}

/** Digits after the decimal point, by ISO 4217 code. Every other known currency has two. */
const DIGITS: Record<string, number> = { EUR: 2, USD: 2, GBP: 2, CHF: 2, JPY: 2, KWD: 3 }

export class UnknownCurrency extends Error {}

/** How many minor units make one of the currency: 100 for EUR, 1 for JPY, 1000 for KWD. */
export function minorUnits(currency: string): number {
  return 10 ** digits(currency)
}

export function digits(currency: string): number {
  const known = DIGITS[currency]
  if (known === undefined) throw new UnknownCurrency(`unknown currency ${currency}`)
  return known
}

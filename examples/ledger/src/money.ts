import { digits, minorUnits } from './currency.ts'

/** An amount in whole minor units, so that sums are exact. */
export interface Money {
  readonly minor: number
  readonly currency: string
}

export function money(minor: number, currency: string): Money {
  if (!Number.isSafeInteger(minor)) throw new RangeError(`${minor} is not a whole number of minor units`)
  return { minor, currency }
}

export function add(a: Money, b: Money): Money {
  if (a.currency !== b.currency) throw new TypeError(`cannot add ${b.currency} to ${a.currency}`)
  return money(a.minor + b.minor, a.currency)
}

/** Reads "12.34 EUR". Refuses more digits than the currency has. */
export function parseMoney(text: string): Money {
  const match = /^(-?)(\d+)(?:\.(\d+))? ([A-Z]{3})$/.exec(text.trim())
  if (!match) throw new SyntaxError(`not an amount: ${JSON.stringify(text)}`)
  const [, sign, whole = '', fraction = '', currency = ''] = match
  if (fraction.length > digits(currency)) throw new SyntaxError(`${currency} has ${digits(currency)} digits after the point: ${text}`)
  const minor = Number(whole) * minorUnits(currency) + Number(fraction.padEnd(digits(currency), '0') || 0)
  return money(sign === '-' ? -minor : minor, currency)
}

export function formatMoney(amount: Money): string {
  const places = digits(amount.currency)
  const text = Math.abs(amount.minor).toString().padStart(places + 1, '0')
  const whole = text.slice(0, text.length - places)
  const fraction = places === 0 ? '' : `.${text.slice(-places)}`
  return `${amount.minor < 0 ? '-' : ''}${whole}${fraction} ${amount.currency}`
}

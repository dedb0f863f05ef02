import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnknownCurrency } from '../src/currency.ts'
import { add, formatMoney, money, parseMoney } from '../src/money.ts'

test('reads and writes amounts', () => {
  assert.deepEqual(parseMoney('12.34 EUR'), { minor: 1234, currency: 'EUR' })
  assert.equal(formatMoney(money(-5, 'EUR')), '-0.05 EUR')
  assert.equal(formatMoney(money(1500, 'KWD')), '1.500 KWD')
})

test('refuses what is not an amount, and currencies that it does not know', () => {
  assert.throws(() => parseMoney('twelve EUR'), SyntaxError)
  assert.throws(() => parseMoney('1.234 EUR'), SyntaxError)
  assert.throws(() => parseMoney('1 XXX'), UnknownCurrency)
})

test('adds within a currency only', () => {
  assert.deepEqual(add(money(1, 'EUR'), money(2, 'EUR')), money(3, 'EUR'))
  assert.throws(() => add(money(1, 'EUR'), money(2, 'USD')), TypeError)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMoney, money, parseMoney } from '../src/money.ts'
import { split } from '../src/split.ts'

test('divides what divides', () => {
  assert.deepEqual(split(money(900, 'EUR'), 3), [money(300, 'EUR'), money(300, 'EUR'), money(300, 'EUR')])
})

test('splits a bill in yen without losing any', () => {
  assert.deepEqual(split(parseMoney('10000 JPY'), 3).map(formatMoney), ['3334 JPY', '3333 JPY', '3333 JPY'])
})

test('works on debts', () => {
  const shares = split(parseMoney('-0.05 EUR'), 2)
  assert.equal(shares.reduce((sum, share) => sum + share.minor, 0), -5)
})

test('needs somebody to share', () => {
  assert.throws(() => split(money(1, 'EUR'), 0), RangeError)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balances } from '../src/balance.ts'
import { money } from '../src/money.ts'
import { parseLedger } from '../src/parse.ts'
import { report } from '../src/report.ts'
import { imbalance } from '../src/validate.ts'

const MARCH = `
# March
2026-03-01 | rent | expenses:rent 1200.00 EUR | assets:bank -1200.00 EUR
2026-03-09 | groceries | expenses:food 64.35 EUR | assets:bank -64.35 EUR
`

test('adds up accounts', () => {
  const accounts = balances(parseLedger(MARCH))
  assert.deepEqual([...accounts.keys()], ['assets:bank', 'expenses:food', 'expenses:rent'])
  assert.deepEqual(accounts.get('assets:bank')?.get('EUR'), money(-126435, 'EUR'))
})

test('prints amounts aligned', () => {
  assert.equal(
    report(balances(parseLedger(MARCH))),
    ['assets:bank    -1264.35 EUR', 'expenses:food     64.35 EUR', 'expenses:rent   1200.00 EUR'].join('\n'),
  )
})

test('names a transaction that does not balance', () => {
  const [transaction] = parseLedger('2026-03-01 | rent | expenses:rent 1200.00 EUR | assets:bank -1190.00 EUR')
  assert.ok(transaction)
  assert.deepEqual(imbalance(transaction), ['2026-03-01 rent: off by 10.00 EUR'])
})

test('says where a ledger cannot be read', () => {
  assert.throws(() => parseLedger('\n2026-3-1 | x | a 1 EUR | b -1 EUR'), /line 2: not a date/)
})

#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { balances } from './balance.ts'
import { formatMoney, parseMoney } from './money.ts'
import { parseLedger } from './parse.ts'
import { report } from './report.ts'
import { split } from './split.ts'
import { imbalance } from './validate.ts'

const [command, ...args] = process.argv.slice(2)

switch (command) {
  case 'balance': {
    const transactions = parseLedger(readFileSync(args[0] ?? 'docs/sample.ledger', 'utf8'))
    const problems = transactions.flatMap(imbalance)
    for (const problem of problems) console.error(problem)
    console.log(report(balances(transactions)))
    process.exitCode = problems.length > 0 ? 1 : 0
    break
  }
  case 'split': {
    const [amount = '', currency = '', people = '2'] = args
    for (const share of split(parseMoney(`${amount} ${currency}`), Number(people))) console.log(formatMoney(share))
    break
  }
  default:
    console.error('usage: ledger balance FILE | ledger split AMOUNT CURRENCY PEOPLE')
    process.exitCode = 2
}

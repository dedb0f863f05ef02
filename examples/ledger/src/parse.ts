import { parseMoney } from './money.ts'
import type { Posting, Transaction } from './transaction.ts'

/** Reads a ledger: one transaction a line, empty lines and lines that start with # left out. */
export function parseLedger(text: string): Transaction[] {
  const transactions: Transaction[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    try {
      transactions.push(parseTransaction(line))
    } catch (error) {
      throw new SyntaxError(`line ${index + 1}: ${(error as Error).message}`, { cause: error })
    }
  }
  return transactions
}

function parseTransaction(line: string): Transaction {
  const [date = '', description = '', ...postings] = line.split('|').map((part) => part.trim())
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) throw new SyntaxError(`not a date: ${JSON.stringify(date)}`)
  if (postings.length < 2) throw new SyntaxError('a transaction has two postings or more')
  return { date, description, postings: postings.map(parsePosting) }
}

function parsePosting(text: string): Posting {
  const space = text.indexOf(' ')
  if (space < 0) throw new SyntaxError(`not a posting: ${JSON.stringify(text)}`)
  return { account: text.slice(0, space), amount: parseMoney(text.slice(space + 1)) }
}

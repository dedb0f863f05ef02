import { expect, test } from 'vitest'
import { fields, table } from './table.ts'

test('columns are aligned', () => {
  expect(
    table(
      ['ID', 'STATE', 'NAME'],
      [
        ['ses_1', 'idle', 'first'],
        ['ses_22', 'initializing', ''],
      ],
    ),
  ).toBe('ID      STATE         NAME\nses_1   idle          first\nses_22  initializing')
})

test('a hostile cell stays in its cell', () => {
  expect(table(['A', 'B'], [['x\u001b[2J\nID  admin', 'y']])).toBe('A            B\nx␊ID  admin  y')
})

test('lines are cut at the width of the terminal', () => {
  expect(table(['A'], [['0123456789']], 5)).toBe('A\n0123…')
})

test('fields', () => {
  expect(
    fields([
      ['id', 'a'],
      ['state', 'b'],
    ]),
  ).toBe('id     a\nstate  b')
})

import { expect, test } from 'vitest'
import { cutToWidth, textWidth } from './text-width.ts'

test('wide characters take two columns, marks none', () => {
  expect([textWidth('abc'), textWidth('日本'), textWidth('e\u0301'), textWidth('🙂')]).toEqual([3, 4, 1, 2])
})

test('what does not fit is cut and marked', () => {
  expect([cutToWidth('abcd', 4), cutToWidth('abcde', 4), cutToWidth('日本語', 5), cutToWidth('a', 0)]).toEqual([
    'abcd',
    'abc…',
    '日本…',
    '…',
  ])
})

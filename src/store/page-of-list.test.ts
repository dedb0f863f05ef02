import { describe, expect, it } from 'vitest'
import { pageOfList } from './page-of-list.ts'
import type { Page } from './store.ts'

const keyOf = (item: string): [string, string] => [item[0] ?? '', item.slice(1)]
const LIST = ['b2', 'a1', 'b1', 'a3', 'a2']

describe('pages of a list', () => {
  it.each([
    ['ascending', ['a1', 'a2', 'a3', 'b1', 'b2']],
    ['descending', ['b2', 'b1', 'a3', 'a2', 'a1']],
  ] as const)('%s, show everything once', (order, expected) => {
    for (let limit = 1; limit < 7; limit++) {
      const seen: string[] = []
      let cursor: string | null = null
      do {
        const page: Page<string> = pageOfList(LIST, keyOf, { limit, cursor }, order)
        expect(page.items.length).toBeLessThanOrEqual(limit)
        seen.push(...page.items)
        cursor = page.next_cursor
      } while (cursor !== null)
      expect(seen).toEqual(expected)
    }
  })

  it('go on where they were when what they ended with is gone', () => {
    const { next_cursor } = pageOfList(LIST, keyOf, { limit: 2, cursor: null })
    const without = LIST.filter((item) => item !== 'a2')
    expect(pageOfList(without, keyOf, { limit: 2, cursor: next_cursor }).items).toEqual(['a3', 'b1'])
  })

  it.each([
    { limit: 0, cursor: null },
    { limit: 201, cursor: null },
    { limit: 5, cursor: 'nonsense' },
    { limit: 5, cursor: Buffer.from('[1,"x"]').toString('base64url') },
  ])('are refused for %j', (page) => {
    expect(() => pageOfList(LIST, keyOf, page)).toThrow(expect.objectContaining({ code: 'invalid_argument' }))
  })
})

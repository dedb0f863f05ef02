import { describe, expect, it } from 'vitest'
import { describeDifferences, type ListedTool, sourceDigest, toolDifferences, toolListDigest } from './connector.ts'

const tool = (name: string, fields: Partial<ListedTool> = {}): ListedTool => ({
  name,
  title: null,
  description: 'It does.',
  input_schema: { type: 'object' },
  output_schema: null,
  annotations: null,
  ...fields,
})

describe('a list of tools', () => {
  const list = [tool('a'), tool('b')]

  it('has a digest that does not depend on its order, nor on the order of keys', () => {
    expect(toolListDigest([...list].reverse())).toBe(toolListDigest(list))
    const [x, y] = [
      { type: 'object', required: [] },
      { required: [], type: 'object' },
    ]
    expect(toolListDigest([tool('a', { input_schema: x })])).toBe(toolListDigest([tool('a', { input_schema: y })]))
  })

  it.each<[string, ListedTool[], string]>([
    ['one more', [...list, tool('c')], 'c added'],
    ['one less', [tool('a')], 'b removed'],
    ['another description', [tool('a', { description: 'It does more.' }), tool('b')], 'a changed (description)'],
    ['another title', [tool('a', { title: 'A' }), tool('b')], 'a changed (title)'],
    ['another schema', [tool('a', { input_schema: { type: 'object', properties: {} } }), tool('b')], 'a changed (input_schema)'],
    ['another schema of answers', [tool('a', { output_schema: {} }), tool('b')], 'a changed (output_schema)'],
    ['other annotations', [tool('a', { annotations: { readOnlyHint: true } }), tool('b')], 'a changed (annotations)'],
    ['invisible characters', [tool('a', { description: 'It does.\u200b' }), tool('b')], 'a changed (description)'],
  ])('differs by %s', (_what, now, words) => {
    expect(toolListDigest(now)).not.toBe(toolListDigest(list))
    expect(describeDifferences(toolDifferences(list, now))).toBe(words)
  })

  it('does not differ from itself', () => {
    expect(toolDifferences(list, [...list].reverse())).toEqual([])
  })

  it('tells of the first differences only', () => {
    const many = Array.from({ length: 9 }, (_, index) => tool(`t${index}`))
    expect(describeDifferences(toolDifferences([], many))).toMatch(/t4 added, and 4 more$/)
  })
})

it('another command is another source', () => {
  const source = { kind: 'stdio', command: ['a'], env: {}, secrets: [], network: false } as const
  expect(sourceDigest({ ...source, command: ['a', 'b'], secrets: [] })).not.toBe(
    sourceDigest({ ...source, command: ['a'], secrets: [] }),
  )
})

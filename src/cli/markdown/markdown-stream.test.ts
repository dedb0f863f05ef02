import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Part } from '../output.ts'
import { MarkdownStream } from './markdown-stream.ts'

/** What is shown, line by line, after each piece. */
function shown(pieces: readonly string[], width = 60): Part[][][] {
  const stages: Part[][][] = []
  const lines: Part[][] = []
  const stream = new MarkdownStream(
    (next) => lines.push(...next),
    () => width,
  )
  for (const piece of pieces) {
    stream.push(piece)
    stages.push([...lines])
  }
  stream.end()
  stages.push([...lines])
  return stages
}

const textOf = (lines: readonly Part[][] = []) => lines.map((line) => line.map(([text]) => text).join('')).join('\n')
const plain = (text: string, width?: number) => textOf(shown([text], width).at(-1))

test.each([
  ['a heading', '# One\n## Two', 'One\n\nTwo'],
  ['a paragraph, its lines joined', 'one\ntwo **three** *four* ~~five~~', 'one two three four five'],
  ['inline code as it is', 'call `a  && b`', 'call a && b'],
  [
    'a link with its target',
    '[here](https://a.example/x) or <https://b.example>',
    'here (https://a.example/x) or https://b.example',
  ],
  [
    'a link that claims another target',
    '[https://good.example](https://evil.example)',
    'https://good.example (https://evil.example)',
  ],
  ['an image', '![alt](a.png)', 'alt (a.png)'],
  ['a list', 'Items:\n\n- one\n- two\n  - nested\n- [x] done\n', 'Items:\n\n  • one\n  • two\n      • nested\n  • [x] done'],
  ['numbers', '3. three\n4. four\n', '  3. three\n  4. four'],
  ['items with blank lines between', '- one\n\n- two\n', '  • one\n  • two'],
  ['a quote', '> said\n> so\n', '│ said so'],
  ['fenced code', 'x\n\n```ts\nif (a) {\n\n  b()\n}\n```\ny', 'x\n\n    if (a) {\n\n      b()\n    }\n\ny'],
  ['code that is never closed', '```\na\n# no heading', '    a\n    # no heading'],
  ['a fence in a longer fence', '````\n```\n````\n', '    ```'],
  ['indented code', 'x\n\n    a\n    b\n', 'x\n\n    a\n    b'],
  ['a rule', 'a\n\n---\n\nb', `a\n\n${'─'.repeat(40)}\n\nb`],
  ['HTML as it is', '<b onclick="x()">a</b>', '<b onclick="x()">a</b>'],
  ['entities', 'a &lt;b&gt; &amp;&amp; &#27;[2Jb', 'a <b> && b'],
  [
    'a table',
    '| a | long title |\n|---|---|\n| **1** | 2 |\n| 日本 | 4 |\n',
    'a     long title\n────  ──────────\n1     2\n日本  4',
  ],
  ['no text', ' \n\n', ''],
])('%s', (_what, markdown, expected) => {
  expect(plain(markdown)).toBe(expected)
})

test('a table that is too wide has each cell on a line of its own, and nothing is cut', () => {
  expect(plain('| name | what |\n|---|---|\n| a | 1 |\n| b | this is rather long |\n', 20)).toBe(
    'name: a\nwhat: 1\n\nname: b\nwhat: this is rather\nlong',
  )
})

test('styles', () => {
  expect(shown(['# T\n\na **b *c*** `d`']).at(-1)).toEqual([
    [['T', ['bold', 'underline']]],
    [],
    [['a'], [' '], ['b', ['bold']], [' '], ['c', ['bold', 'italic']], [' '], ['d', ['cyan']]],
  ])
})

test('lines are broken between words; a word that is too long stays whole', () => {
  expect(plain('aaa bbb ccc, **ddd**, eee', 11)).toBe('aaa bbb\nccc, ddd,\neee')
  expect(plain('see https://a.example/long/path now', 12)).toBe('see\nhttps://a.example/long/path\nnow')
  expect(plain('- aaaa bbbb cccc dddd eeee ffff gggg\n', 24)).toBe('  • aaaa bbbb cccc dddd\n    eeee ffff gggg')
})

test('each block comes when it is whole, and is not touched again', () => {
  const stages = shown(['# Ti', 'tle\n', 'one\n', 'two\n', '\n', '- a\n', '- b\n', '\n', '```\n', 'x\n', 'y', '\n', '```\n'])
  expect(stages.map((lines) => textOf(lines))).toEqual([
    '',
    'Title',
    'Title',
    'Title',
    'Title\n\none two',
    'Title\n\none two',
    'Title\n\none two\n\n  • a',
    'Title\n\none two\n\n  • a',
    'Title\n\none two\n\n  • a\n  • b\n',
    'Title\n\none two\n\n  • a\n  • b\n\n    x',
    'Title\n\none two\n\n  • a\n  • b\n\n    x',
    'Title\n\none two\n\n  • a\n  • b\n\n    x\n    y',
    'Title\n\none two\n\n  • a\n  • b\n\n    x\n    y',
    'Title\n\none two\n\n  • a\n  • b\n\n    x\n    y',
  ])
})

const block = fc.constantFrom(
  '# Title\n\n',
  'a paragraph of *some* words\nand another line\n\n',
  '- one\n- two\n  - nested `x`\n- three\n\n',
  '1. first\n2. second\n\n',
  '```sh\n# not a title\n\nls -l\n```\n',
  '~~~\n```\n~~~\n',
  '> quoted\n\n',
  '| a | b |\n|---|---|\n| 1 | 2 |\n\n',
  '    indented\n\nend\n\n',
  '---\n\n',
  '<div>\nx\n</div>\n\n',
  'Title\n=====\n\n',
  '日本 🙂 \u001b[31mred\u001b[0m\r\n\r\n',
)

test('how the text is cut makes no difference', () => {
  const property = fc.property(fc.array(block, { maxLength: 8 }), fc.array(fc.nat(600), { maxLength: 30 }), (blocks, cuts) => {
    const text = blocks.join('')
    const edges = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length]
    const pieces = edges.slice(1).map((edge, at) => text.slice(edges[at], edge))
    expect(shown(pieces).at(-1)).toEqual(shown([text]).at(-1))
  })
  fc.assert(property, { numRuns: 300 })
})

test('no word is lost', () => {
  // Nothing stands behind a fence: behind an opening one it would be the name of a language, which is not shown.
  const words = fc.array(
    fc.constantFrom('a', '# b', '- c', '\n', '\n\n', '> d', '```\n', '| e', '1. f', '    ', ' ', '*g*', '~~~\n', '<h>'),
  )
  fc.assert(
    fc.property(words, (pieces) => {
      const letters = (text: string) => [...text.matchAll(/[a-g]/g)].join('')
      const text = pieces.join(' ')
      expect(letters(textOf(shown([text]).at(-1)))).toBe(letters(text))
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['escape sequences', 'a\u001b]0;owned\u0007b \u001b[2J\u009b1;1H'],
  ['a link that holds one', '[a\u001b[2J](https://x\u001b]8;;evil\u0007)'],
  ['code that holds one', '```\n\u001b]52;c;x\u0007\n```'],
  ['one in a table', '| \u001b[1A | b |\n|---|---|\n| \r | \b |\n'],
  ['entities', '&#27;]0;owned&#7; &#155;2J `&#27;[2J` [a&#x1b;c](https://x/&#27;[2J)'],
  ['text that reorders', 'a \u202e b'],
])('%s reach no terminal', (_what, markdown) => {
  const pieces = [...markdown]
  const lines = shown(pieces).at(-1)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
  expect(textOf(lines)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
})

test.each([
  ['quotes in quotes', '>'.repeat(40_000)],
  ['brackets', '['.repeat(100_000)],
  ['emphasis', '*a '.repeat(30_000)],
  ['one line without end', 'x'.repeat(300_000)],
  ['one paragraph without end', 'word word\n'.repeat(20_000)],
  ['lists in lists', Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}- a\n`).join('')],
])('hostile: %s is shown, in bounded time', (_what, text) => {
  const output = plain(text, 100)
  expect(output.replace(/\s/g, '').length).toBeGreaterThan(0)
})

import { expect, it } from 'vitest'
import { type FileCoverage, measure, percent } from './measure.ts'

const file = (lines: [line: number, runs: number][], branches: number[][]): FileCoverage => ({
  statementMap: Object.fromEntries(lines.map(([line], id) => [id, { start: { line } }])),
  s: Object.fromEntries(lines.map(([, runs], id) => [id, runs])),
  b: Object.fromEntries(branches.map((ways, id) => [id, ways])),
})

it('counts lines once, branches each way, and folders apart', () => {
  const map = {
    '/root/src/policy/a.ts': file(
      [
        [1, 1],
        [1, 0],
        [2, 0],
      ],
      [[1, 0]],
    ),
    '/root/src/policy/rules/b.ts': file([[1, 3]], [[2, 2, 0]]),
    '/root/src/store/c.ts': file([[1, 0]], []),
    '/elsewhere/src/store/d.ts': file([[1, 1]], []),
  }
  expect(measure(map, '/root', ['policy', 'store', 'none'])).toEqual([
    { folder: 'policy', lines: { total: 3, covered: 2 }, branches: { total: 5, covered: 3 } },
    { folder: 'store', lines: { total: 1, covered: 0 }, branches: { total: 0, covered: 0 } },
    { folder: 'none', lines: { total: 0, covered: 0 }, branches: { total: 0, covered: 0 } },
  ])
})

it.each([
  [{ total: 10_000, covered: 7_999 }, 79.99],
  [{ total: 3, covered: 2 }, 66.66],
  [{ total: 3, covered: 3 }, 100],
  [{ total: 0, covered: 0 }, 0],
])('rounds down: %o is %d', (share, wanted) => {
  expect(percent(share)).toBe(wanted)
})

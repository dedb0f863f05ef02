import { describe, expect, it } from 'vitest'
import { calledPaths } from './called-paths.ts'
import { sampleTool } from './request.sample.ts'

const tool = (policy: Parameters<typeof sampleTool>[0] = {}) => sampleTool(policy)
const files = tool({
  policy: {
    paths: [
      { field: 'from', access: 'read' },
      { field: 'to', access: 'write' },
    ],
    patches: ['patch'],
  },
})
const PATCH = 'diff --git a/src/a.ts b/lib/b.ts\nsimilarity index 100%\nrename from src/a.ts\nrename to lib/b.ts\n'

describe('calledPaths', () => {
  it.each([
    { what: 'nothing', args: {}, touched: [], written: [], roots: [null, null] },
    {
      what: 'a read file',
      args: { from: './src//a.ts' },
      touched: ['.', 'src', 'src/a.ts'],
      written: [],
      roots: ['src/a.ts', null],
    },
    {
      what: 'an absolute one, and several',
      args: { from: ['/session/code/src/x/b', 'src/a'], to: 'src/x/c' },
      touched: ['.', 'src', 'src/a', 'src/x', 'src/x/b', 'src/x/c'],
      written: ['.', 'src', 'src/x', 'src/x/c'],
      roots: ['src', 'src/x/c'],
    },
    {
      what: 'one in and one outside of the workspace',
      args: { from: 'a', to: '/session/data/b' },
      touched: ['.', '/', '/session', '/session/data', '/session/data/b', 'a'],
      written: ['/', '/session', '/session/data', '/session/data/b'],
      roots: ['/', '/session/data/b'],
    },
    {
      what: 'both sides of a patch',
      args: { patch: PATCH },
      touched: ['.', 'lib', 'lib/b.ts', 'src', 'src/a.ts'],
      written: ['.', 'lib', 'lib/b.ts', 'src', 'src/a.ts'],
      roots: ['.', '.'],
    },
  ])('$what', ({ args, touched, written, roots }) => {
    const paths = calledPaths(files, args)
    expect(paths).toEqual({ touched, written, touched_root: roots[0], written_root: roots[1] })
  })

  it('takes a tool on the whole repository at its word', () => {
    const whole = { policy: { whole_repository: true } }
    expect(calledPaths(tool(whole), {})).toMatchObject({ touched: ['.'], written: [], touched_root: '.' })
    expect(calledPaths(tool({ ...whole, side_effects: 'reversible' }), {})).toMatchObject({ written: ['.'], written_root: '.' })
  })

  it.each([
    ['a number', { from: 7 }],
    ['an escape', { to: '../x' }],
    ['a NUL byte', { from: 'a\0b' }],
    ['a patch that is none', { patch: 'hello' }],
    ['more paths than anybody means', { from: Array.from({ length: 30_000 }, (_, i) => `d${i}/f`) }],
    ['a path too deep', { from: 'd/'.repeat(5000) }],
  ])('refuses %s', (_, args) => {
    expect(() => calledPaths(files, args)).toThrow()
  })
})

import { describe, expect, it } from 'vitest'
import { loadCatalog } from '../catalog/load-catalog.ts'
import type { ToolMetadata } from '../domain/tool.ts'
import { calledPaths, isShownPath } from './called-paths.ts'
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
    { what: 'nothing', args: {}, touched: [], written: [], whole: [], roots: [null, null] },
    {
      what: 'a read file',
      args: { from: './src//a.ts' },
      touched: ['.', 'src', 'src/a.ts'],
      written: [],
      whole: [],
      roots: ['src/a.ts', null],
    },
    {
      what: 'an absolute one, and several',
      args: { from: ['/session/code/src/x/b', 'src/a'], to: 'src/x/c' },
      touched: ['.', 'src', 'src/a', 'src/x', 'src/x/b', 'src/x/c'],
      written: ['.', 'src', 'src/x', 'src/x/c'],
      whole: ['src/x/c'],
      roots: ['src', 'src/x/c'],
    },
    {
      what: 'one in and one outside of the workspace',
      args: { from: 'a', to: '/session/data/b' },
      touched: ['.', '/', '/session', '/session/data', '/session/data/b', 'a'],
      written: ['/', '/session', '/session/data', '/session/data/b'],
      whole: ['/session/data/b'],
      roots: ['/', '/session/data/b'],
    },
    {
      what: 'both sides of a patch',
      args: { patch: PATCH },
      touched: ['.', 'lib', 'lib/b.ts', 'src', 'src/a.ts'],
      written: ['.', 'lib', 'lib/b.ts', 'src', 'src/a.ts'],
      whole: ['lib/b.ts', 'src/a.ts'],
      roots: ['.', '.'],
    },
    {
      what: 'a directory, and one twice',
      args: { to: ['config', './config/', '.'] },
      touched: ['.', 'config'],
      written: ['.', 'config'],
      whole: ['.', 'config'],
      roots: ['.', '.'],
    },
  ])('$what', ({ args, touched, written, whole, roots }) => {
    const paths = calledPaths(files, args)
    expect(paths).toEqual({ touched, written, written_whole: whole, touched_root: roots[0], written_root: roots[1] })
  })

  it('takes a tool on the whole repository at its word', () => {
    const whole = { policy: { whole_repository: true } }
    expect(calledPaths(tool(whole), {})).toMatchObject({ touched: ['.'], written: [], touched_root: '.' })
    expect(calledPaths(tool({ ...whole, side_effects: 'reversible' }), {})).toMatchObject({ written: ['.'], written_root: '.' })
  })

  it.each<[string, Parameters<typeof sampleTool>[0], object, string[]]>([
    ['a tool whose arguments never tell', { policy: { writes_anywhere: true } }, {}, ['.']],
    [
      'and reads something besides',
      { policy: { writes_anywhere: true, paths: [{ field: 'in', access: 'read' }] } },
      { in: 'a' },
      ['.'],
    ],
    ['a tool that is not told this time', { policy: { paths: [{ field: 'paths', access: 'write' }] } }, { paths: [] }, ['.']],
    ['one that is told', { policy: { paths: [{ field: 'paths', access: 'write' }] } }, { paths: ['a/b'] }, ['a/b']],
    ['a tool that writes elsewhere', { policy: { paths: [{ field: 'in', access: 'read' }] } }, { in: 'a' }, []],
  ])('what may be written by %s', (_, fields, args, whole) => {
    const { written_whole, written } = calledPaths(tool({ ...fields, side_effects: 'reversible' }), { ...args })
    expect(written_whole).toEqual(whole)
    expect(written).toEqual(expect.arrayContaining(whole))
    expect(calledPaths(tool({ ...fields, side_effects: 'none' }), {})).toMatchObject({ written: [], written_whole: [] })
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

it.each([
  ['infra', true],
  ['config/prod', true],
  ['.', true],
  ['/session/data/x', true],
  ['/', true],
  ['infra/', false],
  ['./infra', false],
  ['/session/code/infra', false],
  ['a/../infra', false],
  ['../x', false],
  ['/etc/passwd', false],
  ['', false],
])('isShownPath %j: %s', (path, shown) => {
  expect(isShownPath(path)).toBe(shown)
})

/** Arguments that name one file wherever the tool asks for a path or a patch. */
function somewhere({ policy }: ToolMetadata): Record<string, unknown> {
  const paths = policy.paths.map(({ field }) => [field, 'a/b'])
  return Object.fromEntries([...paths, ...policy.patches.map((field) => [field, PATCH])])
}

it('a tool that changes something says where, or that it may be anywhere; but for those that change nothing in the volume', async () => {
  const tools = (await loadCatalog()).list().map(({ metadata }) => metadata)
  const changing = tools.filter(({ side_effects }) => side_effects !== 'none')
  const silent = changing.filter((each) => calledPaths(each, somewhere(each)).written.length === 0)
  // What git.fetch brings is no file of the working tree.
  expect(silent.map(({ name }) => name)).toEqual(['artifact.upload', 'git.fetch', 'process.stop'])
  const anywhere = changing.filter((each) => calledPaths(each, somewhere(each)).written_whole.includes('.'))
  const names = anywhere.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(['git.checkout', 'git.pull', 'node.install', 'repo.run_tests', 'shell.exec']))
  expect(names.filter((name) => /^(fs|workspace)\./.test(name))).toEqual([])
  const commit = tools.find(({ name }) => name === 'git.commit') as ToolMetadata
  expect(calledPaths(commit, { all: true, paths: [] }).written_whole).toEqual(['.'])
  expect(calledPaths(commit, { all: false, paths: ['docs'] }).written_whole).toEqual(['docs'])
})

import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import detect from './detect_project_type.ts'
import tree from './tree.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())
beforeEach(async () => await workspace.clear())

describe('repo.detect_project_type', () => {
  it.each([
    [['package.json', 'tsconfig.json'], 'node', 'typescript'],
    [['go.mod', 'a.c'], 'go', null],
    [['src/lib/a.c'], 'c', 'make'],
    [['src/lib/deep/a.c', '.hidden/a.c'], 'unknown', null],
    [[], 'unknown', null],
  ])('%j is %s', async (names, project_type, flavor) => {
    await workspace.plant(Object.fromEntries(names.map((name) => [name, ''])))
    expect((await workspace.call(detect)).output).toEqual({ project_type, flavor })
  })

  it('looks at the whole repository or at nothing', async () => {
    expect(await workspace.failure(detect, {}, { allowed_paths: ['src'] })).toMatchObject({ code: 'policy_denied' })
  })
})

describe('repo.tree', () => {
  const draw = async (args: object = {}) => (await workspace.call(tree, { ...args })).output

  it('draws what is there, level by level', async () => {
    await workspace.plant({ 'src/a.ts': '', 'src/deep/er/b.ts': '', 'README.md': '', 'node_modules/x/y': '', '.git/HEAD': '' })
    symlinkSync('/etc', join(workspace.code, 'etc'))
    expect(await draw()).toEqual({
      tree: './\n  README.md\n  etc@\n  src/\n    a.ts\n    deep/\n      er/\n',
      entries: 6,
      truncated: false,
    })
    expect(await draw({ show_files: false, max_depth: 1 })).toMatchObject({ tree: './\n  src/\n' })
    expect(await draw({ path: 'src', max_depth: 9 })).toMatchObject({ tree: 'src/\n  a.ts\n  deep/\n    er/\n      b.ts\n' })
    expect(await draw({ ignore: '', max_depth: 1 })).toMatchObject({ tree: expect.stringContaining('  .git/\n') })
    expect(await draw({ ignore: 'src, README.md', max_depth: 1 })).toMatchObject({ tree: expect.not.stringContaining('src') })
  })

  it('stops at 2000 entries', async () => {
    const files = Array.from({ length: 2100 }, (_, n) => [`d${n % 3}/f${n}`, ''])
    await workspace.plant(Object.fromEntries(files))
    expect(await draw()).toMatchObject({ entries: 2000, truncated: true })
  })

  it('says what is wrong with a path', async () => {
    await workspace.plant({ file: '' })
    symlinkSync('/etc', join(workspace.code, 'etc'))
    expect(await workspace.failure(tree, { path: 'no' })).toMatchObject({ code: 'not_found' })
    expect(await workspace.failure(tree, { path: 'file' })).toMatchObject({ code: 'invalid_argument' })
    for (const path of ['..', '/etc', 'etc', '/session/secrets'])
      expect(await workspace.failure(tree, { path }), path).toMatchObject({
        code: expect.stringMatching(/policy_denied|invalid_argument/),
      })
  })
})

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { testGit } from '../../../test/support/test-git.ts'
import { type CallOptions, SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import { newId } from '../../domain/ids.ts'
import undo from '../workspace/undo_edit.ts'
import patchTool from './patch.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())

const path = (name: string) => join(workspace.code, name)
const text = (name: string) => readFileSync(path(name), 'utf8')
const git = (...args: string[]) => testGit(workspace.code, ...args)

beforeEach(async () => {
  await workspace.clear()
  await workspace.plant({ 'src/a.ts': 'one\ntwo\nthree\n', 'docs/b.md': 'b\n', 'run.sh*': '#!/bin/sh\n' })
})

const call = async (unified_diff: string, more: object = {}, options: CallOptions = {}) =>
  (await workspace.call(patchTool, { unified_diff, ...more }, options)).output
const failure = async (unified_diff: string, more: object = {}, options: CallOptions = {}) =>
  await workspace.failure(patchTool, { unified_diff, ...more }, options)

const change = '--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n'
const newFile = (name: string, content = 'new') =>
  `diff --git a/${name} b/${name}\nnew file mode 100644\n--- /dev/null\n+++ b/${name}\n@@ -0,0 +1 @@\n+${content}\n`
const many = [
  newFile('deep/er/new.txt'),
  'diff --git a/docs/b.md b/docs/b.md\ndeleted file mode 100644\n--- a/docs/b.md\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n',
  'diff --git a/src/a.ts b/src/c.ts\nsimilarity index 100%\nrename from src/a.ts\nrename to src/c.ts\n',
  'diff --git a/run.sh b/run.sh\nold mode 100755\nnew mode 100644\n',
].join('')

/** Everything that is in the workspace. */
function files(): string[] {
  return readdirSync(workspace.code, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(workspace.code.length + 1))
    .filter((name) => !name.startsWith('.git/'))
    .sort()
}

describe.each(['reject_on_conflict', 'apply'])('fs.patch, %s', (strategy) => {
  beforeEach(() => {
    if (strategy !== 'apply') return
    git('init', '-q')
    git('add', '-A')
    git('commit', '-q', '-m', 'first')
  })

  it('applies, and tells what it changed', async () => {
    expect(await call(change.trimEnd(), { strategy })).toMatchObject({
      applied: true,
      strategy,
      changed_paths: ['src/a.ts'],
      output: expect.stringContaining('src/a.ts'),
    })
    expect(text('src/a.ts')).toBe('one\n2\nthree\n')
  })

  it('makes, deletes, renames and changes modes', async () => {
    expect(await call(many, { strategy })).toMatchObject({
      changed_paths: ['deep/er/new.txt', 'docs/b.md', 'run.sh', 'src/a.ts', 'src/c.ts'],
    })
    expect(files()).toEqual(['deep/er/new.txt', 'run.sh', 'src/c.ts'])
    expect([text('src/c.ts'), statSync(path('run.sh')).mode & 0o111]).toEqual(['one\ntwo\nthree\n', 0])
  })

  it('can be undone, file by file', async () => {
    await call(many, { strategy })
    for (const name of ['docs/b.md', 'src/a.ts', 'run.sh']) await workspace.call(undo, { path: name })
    expect([text('docs/b.md'), text('src/a.ts'), statSync(path('run.sh')).mode & 0o777]).toEqual([
      'b\n',
      'one\ntwo\nthree\n',
      0o755,
    ])
    for (const name of ['deep/er/new.txt', 'src/c.ts'])
      expect(await workspace.failure(undo, { path: name })).toMatchObject({ code: 'invalid_argument' })
  })

  it('applies whole or not at all, and shows what does not fit', async () => {
    const conflict = '--- a/docs/b.md\n+++ b/docs/b.md\n@@ -1 +1 @@\n-not there\n+x\n'
    const error = await failure(`${change}${conflict}`, { strategy })
    expect(error).toMatchObject({
      code: 'execution_failed',
      output: { applied: false, strategy },
      message: expect.stringMatching(/nothing was changed.*patch failed: docs\/b\.md:1/s),
    })
    expect(error.message).toContain('not there')
    expect([text('src/a.ts'), text('docs/b.md')]).toEqual(['one\ntwo\nthree\n', 'b\n'])
    expect(await failure(newFile('src/a.ts'), { strategy })).toMatchObject({ code: 'execution_failed' })
    expect(files()).toEqual(['docs/b.md', 'run.sh', 'src/a.ts'])
  })

  it('applies once when it is run again after a crash', async () => {
    const invocation_id = newId('inv')
    const first = await call(many, { strategy }, { invocation_id })
    writeFileSync(path('run.sh'), 'later')
    expect(await call(many, { strategy }, { invocation_id })).toEqual(first)
    expect(text('run.sh')).toBe('later')
    // Also what was kept for an undo is of before.
    await workspace.call(undo, { path: 'src/a.ts' })
    expect(text('src/a.ts')).toBe('one\ntwo\nthree\n')
  })

  it.each([
    ['out of the workspace', newFile('../planted')],
    ['deep out of the workspace', newFile('src/../../planted')],
    ['into .git', newFile('.git/hooks/pre-commit')],
    ['into a nested .git', newFile('sub/.git/config')],
    ['into .GIT', newFile('.GIT/config')],
    ['out by renaming', 'diff --git a/src/a.ts b/../planted\nrename from src/a.ts\nrename to ../planted\n'],
    ['into .git by copying', 'diff --git a/src/a.ts b/.git/planted\ncopy from src/a.ts\ncopy to .git/planted\n'],
    ['out in a second file', `${change}${newFile('../planted')}`],
  ])('does not write %s', async (_, patch) => {
    expect(await failure(patch, { strategy })).toMatchObject({ code: 'policy_denied' })
    expect(files()).toEqual(['docs/b.md', 'run.sh', 'src/a.ts'])
    expect(existsSync(path('../planted'))).toBe(false)
    expect(existsSync(path('.git/hooks/pre-commit'))).toBe(false)
  })

  it('does not leave the paths of the session, on either side', async () => {
    const limited = { allowed_paths: ['src'] }
    for (const patch of [
      'diff --git a/src/a.ts b/docs/a.ts\nrename from src/a.ts\nrename to docs/a.ts\n',
      'diff --git a/docs/b.md b/src/b.md\ncopy from docs/b.md\ncopy to src/b.md\n',
      newFile('docs/new.md'),
    ])
      expect(await failure(patch, { strategy }, limited), patch).toMatchObject({ code: 'policy_denied' })
    await call(change, { strategy }, limited)
    expect(files()).toEqual(['docs/b.md', 'run.sh', 'src/a.ts'])
  })

  it('makes no links, and follows none', async () => {
    mkdirSync(path('../outside'), { recursive: true })
    writeFileSync(path('../outside/f'), 'x\n')
    symlinkSync('a.ts', path('src/link'))
    symlinkSync('../../outside', path('src/out'))
    symlinkSync(workspace.secretsInside, path('src/secrets'))
    const link =
      'diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n'
    expect(await failure(link, { strategy })).toMatchObject({ code: 'invalid_argument' })
    const retarget =
      '--- a/src/link\n+++ b/src/link\n@@ -1 +1 @@\n-a.ts\n\\ No newline at end of file\n+/etc/passwd\n\\ No newline at end of file\n'
    expect(await failure(retarget, { strategy })).toMatchObject({ code: 'invalid_argument', message: /symbolic link/ })
    for (const patch of [
      newFile('src/out/planted'),
      '--- a/src/out/f\n+++ b/src/out/f\n@@ -1 +1 @@\n-x\n+planted\n',
      `--- a/src/secrets/${SECRET.name}\n+++ b/src/secrets/${SECRET.name}\n@@ -1 +1 @@\n-guess\n+x\n`,
    ]) {
      const error = await failure(patch, { strategy })
      expect(error.code, patch).toMatch(/policy_denied|execution_failed|invalid_argument/)
      expect(JSON.stringify([error.message, error])).not.toContain(SECRET.value)
    }
    expect([existsSync(path('../outside/planted')), readFileSync(path('../outside/f'), 'utf8')]).toEqual([false, 'x\n'])
    rmSync(path('../outside'), { recursive: true })
  })
})

describe('fs.patch', () => {
  it('knows no repository where none is asked for', async () => {
    git('init', '-q')
    const marker = path('../data/marker')
    rmSync(marker, { force: true })
    await workspace.plant({
      'evil.sh*': `#!/bin/sh\ntouch '${workspace.inside('../data/marker')}'\ncat\n`,
      '.gitattributes': '* filter=evil\n',
    })
    for (const key of ['filter.evil.clean', 'filter.evil.smudge', 'core.fsmonitor'])
      git('config', key, workspace.inside('evil.sh'))
    git('config', 'apply.whitespace', 'error-all')
    git('config', 'core.worktree', workspace.inside('../data'))
    await call(change.replace('+2', '+2   '))
    expect([text('src/a.ts'), existsSync(marker)]).toEqual(['one\n2   \nthree\n', false])
    await call(change.replace('-two', '-2   ').replace('+2', '+two'), { strategy: 'apply' })
    expect([text('src/a.ts'), existsSync(marker)]).toEqual(['one\ntwo\nthree\n', false])
  })

  it('merges three ways what does not fit as it is, in the middle of other changes', async () => {
    const lines = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
    await workspace.plant({ 'src/m.ts': `${lines.join('\n')}\n` })
    git('init', '-q')
    git('add', '-A')
    git('commit', '-q', '-m', 'first')
    await workspace.plant({ 'src/m.ts': `${lines.join('\n').replace('d', 'D')}\n` })
    const patch = git('diff', '--full-index')
    // The line before the changed one is another now, and not committed.
    await workspace.plant({
      'src/m.ts': `new\n${lines.join('\n').replace('a', 'A').replace('g', 'G\u00e9')}\n`,
      'src/a.ts': 'not committed\n',
    })
    git('add', 'src/a.ts')
    const before = git('status', '--porcelain')
    expect(await call(patch, { strategy: 'apply' })).toMatchObject({ applied: true })
    expect(text('src/m.ts')).toBe('new\nA\nb\nc\nD\ne\nf\nGé\nh\n')
    expect([git('status', '--porcelain'), text('src/a.ts')]).toEqual([before, 'not committed\n'])
    // A second time everything is there already.
    expect(await call(patch, { strategy: 'apply' })).toMatchObject({ applied: true })
    expect(text('src/m.ts')).toBe('new\nA\nb\nc\nD\ne\nf\nGé\nh\n')

    await workspace.plant({ 'src/m.ts': `${lines.join('\n').replace('d', 'other')}\n` })
    expect(await failure(patch, { strategy: 'apply' })).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('src/m.ts'),
    })
    expect(text('src/m.ts')).toContain('other')
    expect(text('src/m.ts')).not.toContain('<<<<')
    const { sandbox } = workspace.context(patchTool)
    expect((await sandbox.run(['sh', '-c', 'ls /tmp/inv_* 2>/dev/null'])).stdout).toBe('')
  })

  it('merges files that are no UTF-8 without harm', async () => {
    await workspace.plant({ 'latin.txt': Buffer.from('h\xe9\nb\nc\nd\ne\n', 'latin1') })
    git('init', '-q')
    git('add', '-A')
    git('commit', '-q', '-m', 'first')
    await call('--- a/latin.txt\n+++ b/latin.txt\n@@ -3,3 +3,3 @@\n c\n d\n-e\n+E\n', { strategy: 'apply' })
    expect(readFileSync(path('latin.txt'), 'latin1')).toBe('h\xe9\nb\nc\nd\nE\n')
  })

  it('needs a repository to merge, and files that are not too large', async () => {
    expect(await failure(change, { strategy: 'apply' })).toMatchObject({ code: 'git_repo_error' })
    await workspace.plant({ 'src/a.ts': `one\ntwo\nthree\n${'x'.repeat(1024 * 1024)}` })
    git('init', '-q')
    expect(await failure(change, { strategy: 'apply' })).toMatchObject({ code: 'invalid_argument', message: /at most 1048576/ })
  })

  it('needs a person', () => {
    expect(patchTool.metadata).toMatchObject({
      requires_approval: true,
      side_effects: 'reversible',
      risk_level: 'medium',
      policy: { patches: ['unified_diff'] },
    })
  })

  it.each([
    {},
    { unified_diff: '' },
    { unified_diff: 'please fix it' },
    { unified_diff: 7 },
    { unified_diff: change, strategy: 'force' },
    { unified_diff: 'x'.repeat(1048577) },
    { unified_diff: '--- a/x\n+++ b/x\n@@ -1,9 +1 @@\n-a\n' },
    { unified_diff: change, path: 'x' },
  ])('does not accept %#', (args) => {
    expect(patchTool.input.safeParse(args).success).toBe(false)
  })
})

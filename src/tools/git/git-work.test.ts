import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { testGit } from '../../../test/support/test-git.ts'
import { type CallOptions, SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import { newId } from '../../domain/ids.ts'
import blame from './blame.ts'
import branchList from './branch_list.ts'
import checkout from './checkout.ts'
import commit from './commit.ts'
import diffFile from './diff_file.ts'
import { identity } from './git-identity.ts'

/** The tools that work on commits and branches without a remote. */

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())

const path = (name: string) => join(workspace.code, name)
const text = (name: string) => readFileSync(path(name), 'utf8')
const git = (...args: string[]) => testGit(workspace.code, ...args)
const head = () => git('rev-parse', 'HEAD').trim()
const marker = () => path('../data/marker')

beforeEach(async () => {
  await workspace.clear()
  await workspace.plant({ 'src/a.ts': 'one\ntwo\nthree\n', 'docs/b.md': 'b\n' })
  git('init', '-q')
  git('add', '-A')
  git('commit', '-q', '-m', 'first')
  rmSync(marker(), { force: true })
})

const call = async (tool: Tool, args: object = {}, options: CallOptions = {}) =>
  (await workspace.call(tool, { ...args }, options)).output as Record<string, unknown>
const failure = async (tool: Tool, args: object = {}, options: CallOptions = {}) =>
  await workspace.failure(tool, { ...args }, options)

describe('git.checkout', () => {
  it('makes branches and switches', async () => {
    expect(await call(checkout, { ref: 'fix/sum', create: true })).toMatchObject({ ref: 'fix/sum', created: true })
    expect(git('symbolic-ref', 'HEAD')).toBe('refs/heads/fix/sum\n')
    await workspace.plant({ 'src/a.ts': 'changed\n' })
    git('commit', '-q', '-am', 'second')
    expect(await call(checkout, { ref: 'main' })).toMatchObject({
      ref: 'main',
      created: false,
      output: expect.stringContaining('main'),
    })
    expect(text('src/a.ts')).toBe('one\ntwo\nthree\n')
    expect(await call(checkout, { ref: 'other', create: true, start_point: 'fix/sum' })).toMatchObject({ created: true })
    expect(text('src/a.ts')).toBe('changed\n')
    await call(checkout, { ref: 'HEAD~1' })
    expect(text('src/a.ts')).toBe('one\ntwo\nthree\n')
    expect(() => git('symbolic-ref', '-q', 'HEAD')).toThrow()
  })

  it("makes a local branch of a remote's", async () => {
    git('update-ref', 'refs/remotes/origin/theirs', head())
    git('config', 'remote.origin.url', 'https://git.example/x')
    git('config', 'remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*')
    expect(await call(checkout, { ref: 'theirs' })).toMatchObject({ created: true })
    expect(git('symbolic-ref', 'HEAD')).toBe('refs/heads/theirs\n')
  })

  it('loses no change unless it is told to, for which a person is asked', async () => {
    git('checkout', '-q', '-b', 'other')
    await workspace.plant({ 'src/a.ts': 'other\n' })
    git('commit', '-q', '-am', 'second')
    await workspace.plant({ 'src/a.ts': 'not committed\n' })
    expect(await failure(checkout, { ref: 'main' })).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('src/a.ts'),
    })
    expect(text('src/a.ts')).toBe('not committed\n')
    expect(checkout.approvalReason({ ref: 'main', force: false })).toBeNull()
    expect(checkout.approvalReason({ ref: 'main', force: true })).toMatch(/throws away/)
    await call(checkout, { ref: 'main', force: true })
    expect(text('src/a.ts')).toBe('one\ntwo\nthree\n')
  })

  it.each([
    ['no such branch', { ref: 'nope' }, /execution_failed|git_repo_error/],
    ['no such start', { ref: 'x', create: true, start_point: 'nope' }, /git_repo_error/],
    ['a branch that is there', { ref: 'main', create: true }, /git_repo_error/],
    ['a start without a new branch', { ref: 'main', start_point: 'HEAD' }, /invalid_argument/],
    ['a name that is none', { ref: 'a~1', create: true }, /invalid_argument/],
    ['HEAD as a name', { ref: 'HEAD', create: true }, /invalid_argument/],
    ['a path', { ref: 'src/a.ts' }, /execution_failed|git_repo_error/],
  ])('refuses %s', async (_, args, code) => {
    await workspace.plant({ 'src/a.ts': 'not committed\n' })
    expect(await failure(checkout, args)).toMatchObject({ code: expect.stringMatching(code) })
    expect([git('symbolic-ref', 'HEAD'), text('src/a.ts')]).toEqual(['refs/heads/main\n', 'not committed\n'])
  })

  it.each(['-f', '--orphan', '-b', '--force', 'HEAD:src', 'a..b', ':/first', '--detach=x', 'a b', '@{-1'])(
    'takes no option: %s',
    async (ref) => {
      for (const args of [{ ref }, { ref, create: true }, { ref: 'new', create: true, start_point: ref }])
        expect(await failure(checkout, args)).toMatchObject({ code: expect.stringMatching(/invalid_argument|git_repo_error/) })
      expect(git('branch', '--list').trim()).toBe('* main')
    },
  )

  it('writes nothing through a link', async () => {
    git('checkout', '-q', '-b', 'evil')
    rmSync(path('src'), { recursive: true })
    mkdirSync(path('../data/out'), { recursive: true })
    symlinkSync('../data/out', path('src'))
    git('add', '-A')
    git('commit', '-q', '-m', 'a link')
    await call(checkout, { ref: 'main' })
    expect([text('src/a.ts'), existsSync(path('../data/out/a.ts'))]).toEqual(['one\ntwo\nthree\n', false])
    rmSync(path('src'), { recursive: true })
    symlinkSync('../data/out', path('src'))
    await call(checkout, { ref: 'main', force: true })
    expect(existsSync(path('../data/out/a.ts'))).toBe(false)
  })

  it('needs the whole repository, and switches once when it is run again', async () => {
    expect(checkout.metadata).toMatchObject({
      side_effects: 'reversible',
      policy: { whole_repository: true, refs: ['ref', 'start_point'] },
    })
    const invocation_id = newId('inv')
    const first = await call(checkout, { ref: 'x', create: true }, { invocation_id })
    expect(await call(checkout, { ref: 'x', create: true }, { invocation_id })).toEqual(first)
  })
})

describe('git.commit', () => {
  it('commits in the name of the principal', async () => {
    git('config', 'user.name', 'Somebody Else')
    git('config', 'user.email', 'else@example.com')
    await workspace.plant({ 'src/a.ts': 'changed\n', 'docs/b.md': 'changed\n' })
    const { commit: hash } = await call(commit, { message: 'Mend it\n\n# not a comment', paths: ['src'] })
    expect(hash).toBe(head())
    expect(git('log', '-1', '--format=%an|%ae|%cn|%ce|%B')).toBe(
      'alice|alice@default.cloister.local|alice|alice@default.cloister.local|Mend it\n\n# not a comment\n\n',
    )
    expect(git('show', '--name-only', '--format=')).toBe('src/a.ts\n')
    expect(git('status', '--porcelain')).toBe(' M docs/b.md\n')
  })

  it('stages everything with all: new, changed and deleted', async () => {
    rmSync(path('docs/b.md'))
    await workspace.plant({ 'new.txt': 'x', 'src/a.ts': 'changed\n', ignored: 'x', '.gitignore': 'ignored\n' })
    expect(await call(commit, { message: 'All', all: true })).toMatchObject({ committed: true })
    expect(git('show', '--name-only', '--format=')).toBe('.gitignore\ndocs/b.md\nnew.txt\nsrc/a.ts\n')
  })

  it('does not say that it stages some paths while it stages everything', async () => {
    await workspace.plant({ 'src/a.ts': 'changed\n', 'docs/b.md': 'changed\n' })
    const before = head()
    expect(await failure(commit, { message: 'x', all: true, paths: ['src'] })).toMatchObject({ code: 'invalid_argument' })
    expect([head(), git('diff', '--cached', '--name-only')]).toEqual([before, ''])
  })

  it('commits what is staged, the first commit too', async () => {
    rmSync(path('.git'), { recursive: true })
    git('init', '-q')
    git('add', 'src')
    expect(await call(commit, { message: 'First' })).toMatchObject({ committed: true })
    expect(git('show', '--name-only', '--format=')).toBe('src/a.ts\n')
  })

  it('makes no empty commit', async () => {
    const before = head()
    await workspace.plant({ 'src/a.ts': 'changed\n' })
    expect(await failure(commit, { message: 'Nothing' })).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('nothing is staged'),
    })
    expect(await failure(commit, { message: 'Nothing', paths: ['docs'] })).toMatchObject({ code: 'execution_failed' })
    expect(await failure(commit, { message: 'Nothing', paths: ['no-such-file'] })).toMatchObject({ code: 'git_repo_error' })
    expect(head()).toBe(before)
  })

  it('commits once when it is run again after a crash', async () => {
    await workspace.plant({ 'src/a.ts': 'changed\n' })
    const invocation_id = newId('inv')
    const first = await call(commit, { message: 'Once', all: true }, { invocation_id })
    expect(await call(commit, { message: 'Once', all: true }, { invocation_id })).toEqual(first)
    expect(git('rev-list', '--count', 'HEAD')).toBe('2\n')
  })

  it('stays in the paths of the session', async () => {
    await workspace.plant({ 'src/a.ts': 'changed\n', 'docs/b.md': 'changed\n' })
    const limited = { allowed_paths: ['src'] }
    const before = head()
    expect(await failure(commit, { message: 'x', paths: ['docs'] }, limited)).toMatchObject({ code: 'policy_denied' })
    expect(await failure(commit, { message: 'x', paths: ['../x'] })).toMatchObject({ code: 'policy_denied' })
    git('add', 'docs')
    expect(await failure(commit, { message: 'x', paths: ['src'] }, limited)).toMatchObject({
      code: 'policy_denied',
      message: /docs\/b\.md/,
    })
    expect(head()).toBe(before)
    git('reset', '-q')
    await call(commit, { message: 'x', all: true }, limited)
    expect(git('show', '--name-only', '--format=')).toBe('src/a.ts\n')
  })

  it('adds nothing through a link, and no secret that a link names', async () => {
    symlinkSync(workspace.secretsInside, path('dir'))
    symlinkSync(join(workspace.secretsInside, SECRET.name), path('file'))
    expect(await failure(commit, { message: 'x', paths: [`dir/${SECRET.name}`] })).toMatchObject({ code: 'git_repo_error' })
    await call(commit, { message: 'x', all: true })
    expect(git('show', '--format=')).not.toContain(SECRET.value)
    expect(git('ls-tree', 'HEAD', 'dir', 'file')).toMatch(/^120000.*\n120000.*\n$/)
  })

  it('starts no program of the repository', async () => {
    const evil = workspace.inside('evil.sh')
    const script = `#!/bin/sh\necho "$0 $*" >> '${workspace.inside('../data/marker')}'\nexit 0\n`
    await workspace.plant({ 'evil.sh*': script, '.gitattributes': '* filter=evil diff=evil\n', 'src/a.ts': 'changed\n' })
    for (const hook of [
      'pre-commit',
      'prepare-commit-msg',
      'commit-msg',
      'post-commit',
      'post-checkout',
      'reference-transaction',
      'post-index-change',
    ])
      await workspace.plant({ [`.git/hooks/${hook}*`]: script, [`hooks/${hook}*`]: script })
    for (const [key, value] of [
      ['core.hooksPath', workspace.inside('hooks')],
      ['core.fsmonitor', evil],
      ['core.editor', evil],
      ['filter.evil.clean', evil],
      ['filter.evil.smudge', evil],
      ['filter.evil.process', evil],
      ['filter.evil.required', 'true'],
      ['diff.evil.textconv', evil],
      ['diff.evil.command', evil],
      ['commit.gpgSign', 'true'],
      ['gpg.program', evil],
      ['gpg.format', 'ssh'],
      ['gpg.ssh.program', evil],
      ['gpg.ssh.defaultKeyCommand', evil],
      ['trailer.x.command', evil],
      ['maintenance.auto', 'true'],
      ['gc.auto', '1'],
      ['alias.commit', `!${evil}`],
    ] as const)
      git('config', key, value)
    await call(commit, { message: 'x', all: true })
    await call(checkout, { ref: 'HEAD~1' })
    await call(checkout, { ref: 'main', force: true })
    await call(diffFile, { path: 'src/a.ts', ref: 'HEAD~1', stat: true })
    await call(blame, { path: 'src/a.ts' })
    await call(branchList, { all: true })
    expect(existsSync(marker()) ? text('../data/marker') : 'nothing ran').toBe('nothing ran')
    // And the same would run something without the defence.
    const { sandbox } = workspace.context(commit)
    await sandbox.run(['git', '-c', 'safe.directory=*', 'checkout', '-f', 'HEAD~1'])
    expect(existsSync(marker())).toBe(true)
  })

  it('needs a person, and cannot be taken back', () => {
    expect(commit.metadata).toMatchObject({ requires_approval: true, side_effects: 'irreversible', idempotency: 'none' })
  })

  it.each([
    {},
    { message: '' },
    { message: ' \n' },
    { message: 'x'.repeat(1025) },
    { message: 'a\0b' },
    { message: 7 },
    { message: 'x', paths: 'src' },
    { message: 'x', paths: [''] },
    { message: 'x', amend: true },
  ])('does not accept %j', (args) => {
    expect(commit.input.safeParse(args).success).toBe(false)
  })
})

describe('an identity', () => {
  it.each([
    [{ actor_id: 'alice', tenant_id: 'default' }, 'alice', 'alice@default.cloister.local'],
    [{ actor_id: 'a b<x>\n', tenant_id: 't/../x' }, 'a b_x__', 'a_b_x__@t_.._x.cloister.local'],
    [{ actor_id: '<>', tenant_id: '' }, '__', '__@unknown.cloister.local'],
    [{ actor_id: 'Ünal', tenant_id: 't' }, 'Ünal', '_nal@t.cloister.local'],
  ])('%j', (principal, name, email) => {
    const made = identity({ ...principal, roles: [] })
    expect([made['GIT_AUTHOR_NAME'], made['GIT_COMMITTER_EMAIL']]).toEqual([name, email])
  })
})

describe('git.branch_list', () => {
  it('lists branches of one kind or both', async () => {
    git('branch', 'aaa')
    git('update-ref', 'refs/remotes/origin/main', head())
    git('symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/main')
    git('config', 'remote.origin.url', 'https://git.example/x')
    git('config', 'remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*')
    git('config', 'branch.main.remote', 'origin')
    git('config', 'branch.main.merge', 'refs/heads/main')
    const mine = [
      { name: 'aaa', upstream: null, commit: head(), current: false },
      { name: 'main', upstream: 'origin/main', commit: head(), current: true },
    ]
    const theirs = [{ name: 'origin/main', upstream: null, commit: head(), current: false }]
    expect(await call(branchList)).toMatchObject({ count: 2, branches: mine, truncated: false })
    expect(await call(branchList, { remotes: true })).toMatchObject({ count: 1, branches: theirs })
    expect(await call(branchList, { all: true })).toMatchObject({ count: 3, branches: [...mine, ...theirs] })
    git('checkout', '-q', '--detach')
    expect((await call(branchList))['branches']).toEqual(mine.map((branch) => ({ ...branch, current: false })))
  })

  it('says when there is no repository', async () => {
    rmSync(path('.git'), { recursive: true })
    for (const [tool, args] of [
      [branchList, {}],
      [checkout, { ref: 'main' }],
      [commit, { message: 'x', all: true }],
      [diffFile, { path: 'src/a.ts' }],
      [blame, { path: 'src/a.ts' }],
    ] as [Tool, object][])
      expect(await failure(tool, args), tool.metadata.name).toMatchObject({ code: 'git_repo_error', exitCode: 128 })
  })

  it.each([{ all: 'yes' }, { remotes: 1 }, { pattern: '*' }])('does not accept %j', (args) => {
    expect(branchList.input.safeParse(args).success).toBe(false)
  })
})

describe('git.diff_file', () => {
  it('shows how a file differs from a commit', async () => {
    await workspace.plant({ 'src/a.ts': 'one\n2\nthree\n', 'docs/b.md': 'changed\n' })
    git('add', 'src/a.ts')
    const shown = await call(diffFile, { path: 'src/a.ts', stat: true })
    expect(shown).toMatchObject({ ref: 'HEAD', path: 'src/a.ts', stat: expect.stringContaining('src/a.ts | 2 +-') })
    expect(shown['diff']).toContain('@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n')
    expect(shown['diff']).not.toContain('docs')
    expect((await call(diffFile, { path: 'src/a.ts', context: 0 }))['diff']).toContain('@@ -2 +2 @@ one\n-two\n+2\n')
    expect(await call(diffFile, { path: 'src' })).toMatchObject({ diff: shown['diff'] })
    git('commit', '-q', '-am', 'second')
    expect(await call(diffFile, { path: 'src/a.ts' })).not.toHaveProperty('stat')
    expect(await call(diffFile, { path: 'src/a.ts', ref: 'HEAD~1' })).toMatchObject({ ref: 'HEAD~1', diff: shown['diff'] })
    expect(await call(diffFile, { path: 'no-such-file' })).toMatchObject({ diff: '' })
  })

  it.each([
    ['an escape', { path: '../x' }, {}, 'policy_denied'],
    ['a path outside of the session', { path: 'docs' }, { allowed_paths: ['src'] }, 'policy_denied'],
    ['what is not in the repository', { path: '/session/data' }, {}, 'invalid_argument'],
    ['no commit', { path: 'src', ref: 'nope' }, {}, 'git_repo_error'],
    ['an option', { path: 'src', ref: '--output=x' }, {}, 'invalid_argument'],
    ['a range', { path: 'src', ref: 'HEAD..HEAD' }, {}, 'invalid_argument'],
  ])('refuses %s', async (_, args, options, code) => {
    expect(await failure(diffFile, args, options)).toMatchObject({ code })
    expect(existsSync(path('x'))).toBe(false)
  })

  it('does not read through a directory that became a link', async () => {
    await workspace.plant({ [`dir/${SECRET.name}`]: 'tracked\n' })
    git('add', '-A')
    git('commit', '-q', '-m', 'second')
    rmSync(path('dir'), { recursive: true })
    symlinkSync(workspace.secretsInside, path('dir'))
    for (const file of ['dir', `dir/${SECRET.name}`])
      expect(JSON.stringify(await call(diffFile, { path: file, stat: true }))).not.toContain(SECRET.value)
    const error = await failure(blame, { path: `dir/${SECRET.name}` })
    expect(error).toMatchObject({ code: 'policy_denied' })
  })

  it.each([
    {},
    { path: 7 },
    { path: 'a', context: -1 },
    { path: 'a', context: 1001 },
    { path: 'a', stat: 'x' },
    { path: 'a', ref: '' },
  ])('does not accept %j', (args) => {
    expect(diffFile.input.safeParse(args).success).toBe(false)
  })
})

describe('git.blame', () => {
  const shown = async (args: object, options: CallOptions = {}) => String((await call(blame, args, options))['blame'])

  it('shows who changed which line last', async () => {
    await workspace.plant({ 'src/a.ts': 'one\nTWO\nthree\n' })
    git('commit', '-q', '-am', 'second')
    const short = head().slice(0, 7)
    await workspace.plant({ 'src/a.ts': 'one\nTWO\nthree\nfour\n' })
    const lines = (await shown({ path: 'src/a.ts' })).split('\n')
    expect(lines[0]).toMatch(/^\^[0-9a-f]+ \(Test .* 1\) one$/)
    expect(lines[1]).toMatch(new RegExp(`^${short}.* 2\\) TWO$`))
    expect(lines[3]).toMatch(/^0+ .* 4\) four$/)
    expect((await shown({ path: './src/a.ts', start_line: 2, end_line: 3 })).trim().split('\n')).toHaveLength(2)
    expect((await shown({ path: 'src/a.ts', start_line: 4 })).trim().split('\n')).toHaveLength(1)
    expect((await shown({ path: 'src/a.ts', end_line: 99 })).trim().split('\n')).toHaveLength(4)
    expect(existsSync(path('.git/index.lock'))).toBe(false)
  })

  it.each([
    ['a missing file', { path: 'none' }, {}, 'not_found'],
    ['a directory', { path: 'src' }, {}, 'invalid_argument'],
    ['lines the wrong way round', { path: 'src/a.ts', start_line: 3, end_line: 2 }, {}, 'invalid_argument'],
    ['a line past the end', { path: 'src/a.ts', start_line: 4 }, {}, 'invalid_argument'],
    ['an escape', { path: '../x' }, {}, 'policy_denied'],
    ['a path outside of the session', { path: 'docs/b.md' }, { allowed_paths: ['src'] }, 'policy_denied'],
    ['what is not in the repository', { path: '/session/data/x' }, {}, 'invalid_argument'],
  ])('refuses %s', async (_, args, options, code) => {
    expect(await failure(blame, args, options)).toMatchObject({ code })
  })

  it('refuses what git does not track, and what is no text', async () => {
    await workspace.plant({ 'new.ts': 'x\n', 'binary.dat': Buffer.from([0, 255]) })
    expect(await failure(blame, { path: 'new.ts' })).toMatchObject({ code: 'git_repo_error' })
    expect(await failure(blame, { path: 'binary.dat' })).toMatchObject({ code: 'invalid_argument' })
    symlinkSync(join(workspace.secretsInside, SECRET.name), path('link'))
    git('add', '-A')
    git('commit', '-q', '-m', 'second')
    expect(await failure(blame, { path: 'link' })).toMatchObject({ code: 'policy_denied' })
  })

  it('reads no file that the configuration names', async () => {
    writeFileSync(path('../data/revs'), 'not-a-revision-but-a-secret\n')
    git('config', 'blame.ignoreRevsFile', workspace.inside('../data/revs'))
    git('config', 'mailmap.file', workspace.inside('../data/revs'))
    expect(await shown({ path: 'src/a.ts' })).toContain('one')
    // It would show what it says, if it were read.
    const { sandbox } = workspace.context(blame)
    const naive = await sandbox.run(['git', '-c', 'safe.directory=*', 'blame', 'src/a.ts'])
    expect(naive.stderr).toContain('not-a-revision-but-a-secret')
  })

  it.each([
    {},
    { path: 7 },
    { path: 'a', start_line: 0 },
    { path: 'a', end_line: -1 },
    { path: 'a', start_line: '1' },
    { path: 'a', ref: 'HEAD' },
  ])('does not accept %j', (args) => {
    expect(blame.input.safeParse(args).success).toBe(false)
  })
})

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { GitHttpServer } from '../../../test/support/git-http-server.ts'
import { testGit } from '../../../test/support/test-git.ts'
import { type CallOptions, SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import type { ToolError } from '../../domain/errors.ts'
import { newId } from '../../domain/ids.ts'
import checkout from './checkout.ts'
import fetch from './fetch.ts'
import { openRepository } from './git-command.ts'
import { openRemote } from './git-remote.ts'
import pull from './pull.ts'
import push from './push.ts'

/** A sandbox with the machine's network, and a git server on its loopback. */

let workspace: ToolWorkspace
let folder: string
let server: GitHttpServer
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ct-remote-'))
  server = await GitHttpServer.start(folder, { token: SECRET.value, push: true })
  workspace = await ToolWorkspace.start(undefined, 'host')
})
afterAll(async () => {
  await workspace?.stop()
  await server?.stop()
  rmSync(folder, { recursive: true })
})

const bare = () => join(folder, 'project.git')
const other = () => join(folder, 'other')
const git = (...args: string[]) => testGit(workspace.code, ...args)
const remoteGit = (...args: string[]) => testGit(bare(), ...args)
const text = (name: string) => readFileSync(join(workspace.code, name), 'utf8')

/** Somebody else pushes. */
function elsewhere(files: Record<string, string>, branch = 'main'): string {
  testGit(other(), 'checkout', '-q', '-B', branch, 'origin/main')
  for (const [name, content] of Object.entries(files)) writeFileSync(join(other(), name), content)
  testGit(other(), 'add', '-A')
  testGit(other(), 'commit', '-q', '-m', 'theirs')
  testGit(other(), 'push', '-q', 'origin', branch)
  return testGit(other(), 'rev-parse', 'HEAD').trim()
}

beforeEach(async () => {
  for (const directory of [bare(), other()]) rmSync(directory, { recursive: true, force: true })
  testGit(folder, 'init', '-q', '--bare', 'project.git')
  await workspace.clear()
  await workspace.plant({ 'a.txt': 'one\n', 'b.txt': 'b\n' })
  git('init', '-q')
  git('add', '-A')
  git('commit', '-q', '-m', 'first')
  git('push', '-q', bare(), 'main')
  testGit(folder, 'clone', '-q', bare(), 'other')
  git('remote', 'add', 'origin', `${server.origin}/project.git`)
  server.authorizations.length = 0
  server.requests.length = 0
})

const call = async (tool: Tool, args: object = {}, options: CallOptions = {}) =>
  (await workspace.call(tool, { ...args }, options)).output
const failure = async (tool: Tool, args: object = {}, options: CallOptions = {}) =>
  await workspace.failure(tool, { ...args }, options)

async function localCommit(files: Record<string, string> = { 'a.txt': 'mine\n' }): Promise<string> {
  await workspace.plant(files)
  git('add', '-A')
  git('commit', '-q', '-m', 'mine')
  return git('rev-parse', 'HEAD').trim()
}

describe('git.push', () => {
  it('pushes the branch that is checked out, or what it is told', async () => {
    const mine = await localCommit()
    expect(await call(push, { set_upstream: true })).toMatchObject({
      remote: 'origin',
      refspec: 'refs/heads/main:refs/heads/main',
      pushed: true,
      output: expect.stringContaining('refs/heads/main'),
    })
    expect(remoteGit('rev-parse', 'main').trim()).toBe(mine)
    expect(git('rev-parse', '--abbrev-ref', 'main@{upstream}').trim()).toBe('origin/main')
    expect(await call(push, { refspec: 'HEAD:review/x' })).toMatchObject({ refspec: 'HEAD:refs/heads/review/x' })
    expect(remoteGit('rev-parse', 'refs/heads/review/x').trim()).toBe(mine)
    git('tag', 'v1')
    await call(push, { refspec: 'refs/tags/v1' })
    expect(remoteGit('rev-parse', 'refs/tags/v1').trim()).toBe(mine)
  })

  it('is irreversible, of high risk, and needs a person and the network', () => {
    expect(push.metadata).toMatchObject({
      side_effects: 'irreversible',
      risk_level: 'high',
      requires_approval: true,
      idempotency: 'none',
      policy: { needs_network: true, remotes: ['remote'], refspecs: [{ field: 'refspec', reach: 'destination' }] },
    })
    for (const tool of [fetch, pull])
      expect(tool.metadata).toMatchObject({ requires_approval: true, policy: { needs_network: true } })
  })

  it('overwrites nothing that others pushed, unless it was seen', async () => {
    const theirs = elsewhere({ 'b.txt': 'theirs\n' })
    const mine = await localCommit()
    expect(await failure(push)).toMatchObject({
      code: 'execution_failed',
      message: expect.stringMatching(/rejected|fetch first/),
    })
    expect(await failure(push, { force_with_lease: true })).toMatchObject({ code: 'execution_failed' })
    expect(remoteGit('rev-parse', 'main').trim()).toBe(theirs)
    await call(fetch)
    expect(await failure(push)).toMatchObject({ code: 'execution_failed' })
    await call(push, { force_with_lease: true })
    expect(remoteGit('rev-parse', 'main').trim()).toBe(mine)
    expect(await failure(push, { refspec: '+main' })).toMatchObject({ code: 'policy_denied', message: /force_with_lease/ })
  })

  it('pushes once when it is run again after a crash', async () => {
    const mine = await localCommit()
    const invocation_id = newId('inv')
    const first = await call(push, {}, { invocation_id })
    const requests = server.requests.length
    expect(await call(push, {}, { invocation_id })).toEqual(first)
    expect(server.requests).toHaveLength(requests)
    expect(remoteGit('rev-parse', 'main').trim()).toBe(mine)
  })

  it('keeps to the remotes and refs of the session', async () => {
    await localCommit()
    const before = remoteGit('rev-parse', 'main')
    const bound = { metadata: { allowed_git_ref_prefixes: 'refs/heads/agent/' } }
    for (const args of [{}, { refspec: 'main' }, { refspec: 'agent/x:main' }, { refspec: 'HEAD' }])
      expect(await failure(push, args, bound), JSON.stringify(args)).toMatchObject({ code: 'policy_denied' })
    expect(await failure(push, {}, { metadata: { allowed_git_remotes: 'upstream' } })).toMatchObject({ code: 'policy_denied' })
    expect(remoteGit('rev-parse', 'main')).toBe(before)
    await call(push, { refspec: 'HEAD:agent/x' }, bound)
    expect(remoteGit('branch', '--list', 'agent/x')).toContain('agent/x')
  })

  it('needs a branch', async () => {
    git('checkout', '-q', '--detach')
    expect(await failure(push)).toMatchObject({ code: 'git_repo_error', message: /no branch is checked out/ })
    expect(await failure(push, { refspec: 'nope' })).toMatchObject({ code: 'execution_failed' })
  })
})

describe('git.fetch', () => {
  it('fetches all branches, and touches nothing else', async () => {
    const theirs = elsewhere({ 'b.txt': 'theirs\n' })
    elsewhere({ 'c.txt': 'c\n' }, 'side')
    expect(await call(fetch)).toMatchObject({
      remote: 'origin',
      refspec: null,
      fetched: true,
      output: expect.stringContaining('origin/main'),
    })
    expect(git('rev-parse', 'origin/main').trim()).toBe(theirs)
    expect(git('status', '--porcelain')).toBe('')
    expect(text('b.txt')).toBe('b\n')
    remoteGit('branch', '-D', 'side')
    await call(fetch)
    expect(git('branch', '-r')).toContain('origin/side')
    await call(fetch, { prune: true })
    expect(git('branch', '-r')).not.toContain('origin/side')
  })

  it('fetches what it is told, where it may', async () => {
    const side = elsewhere({ 'c.txt': 'c\n' }, 'side')
    remoteGit('tag', 'v1', 'main')
    await call(fetch, { refspec: 'side' })
    expect(git('rev-parse', 'refs/remotes/origin/side').trim()).toBe(side)
    expect(() => git('rev-parse', '--verify', '-q', 'origin/main')).toThrow()
    await call(fetch, { refspec: 'side:mine/side' })
    expect(git('rev-parse', 'mine/side').trim()).toBe(side)
    expect(git('tag')).toBe('')
    await call(fetch, { tags: true })
    expect(git('tag')).toBe('v1\n')
    for (const refspec of ['side:refs/replace/x', 'side:refs/remotes/upstream/x', '+side:main', 'side:refs/stash'])
      expect(await failure(fetch, { refspec }), refspec).toMatchObject({ code: 'policy_denied' })
    expect(await failure(fetch, { refspec: 'nope' })).toMatchObject({ code: 'git_repo_error' })
    // The branch that is checked out is not pulled away from under the tree.
    expect(await failure(fetch, { refspec: 'side:main' })).toMatchObject({
      code: expect.stringMatching(/git_repo_error|execution_failed/),
    })
  })

  it('keeps to the refs of the session', async () => {
    elsewhere({ 'c.txt': 'c\n' }, 'side')
    const bound = { metadata: { allowed_git_ref_prefixes: 'refs/heads/si' } }
    for (const args of [{}, { refspec: 'main' }, { refspec: 'HEAD' }, { refspec: 'side', tags: true }])
      expect(await failure(fetch, args, bound), JSON.stringify(args)).toMatchObject({ code: 'policy_denied' })
    expect(await call(fetch, { refspec: 'side' }, bound)).toMatchObject({ fetched: true })
  })
})

describe('git.pull', () => {
  it('goes forward', async () => {
    const theirs = elsewhere({ 'b.txt': 'theirs\n' })
    expect(await call(pull)).toMatchObject({ remote: 'origin', refspec: 'refs/heads/main', pulled: true })
    expect([git('rev-parse', 'HEAD').trim(), text('b.txt')]).toEqual([theirs, 'theirs\n'])
    expect(await call(pull)).toMatchObject({ pulled: true, output: expect.stringMatching(/up to date/i) })
  })

  it('merges, in the name of the principal, or rebases', async () => {
    const theirs = elsewhere({ 'b.txt': 'theirs\n' })
    await localCommit()
    const before = git('rev-parse', 'HEAD').trim()
    await call(pull)
    expect(git('log', '-1', '--format=%P|%an|%ae|%s')).toBe(
      `${before} ${theirs}|alice|alice@default.cloister.local|Merge main of origin\n`,
    )
    git('reset', '-q', '--hard', before)
    await call(pull, { refspec: 'main', rebase: true })
    expect(git('log', '-1', '--format=%P|%an|%ce|%s')).toBe(`${theirs}|Test|alice@default.cloister.local|mine\n`)
    expect([text('a.txt'), text('b.txt')]).toEqual(['mine\n', 'theirs\n'])
  })

  it('follows what the branch follows', async () => {
    const side = elsewhere({ 'c.txt': 'c\n' }, 'side')
    git('config', 'branch.main.remote', 'origin')
    git('config', 'branch.main.merge', 'refs/heads/side')
    git('config', 'remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*')
    expect(await call(pull)).toMatchObject({ refspec: 'refs/heads/side' })
    expect(git('rev-parse', 'HEAD').trim()).toBe(side)
  })

  it.each([{ rebase: false }, { rebase: true }])('leaves everything as it was on a conflict: %j', async (args) => {
    elsewhere({ 'a.txt': 'theirs\n', 'b.txt': 'theirs\n' })
    const mine = await localCommit()
    expect(await failure(pull, args)).toMatchObject({
      code: 'execution_failed',
      message: expect.stringMatching(/nothing was changed.*a\.txt/),
      output: { conflicts: ['a.txt'] },
    })
    expect([git('rev-parse', 'HEAD').trim(), git('status', '--porcelain'), text('a.txt'), text('b.txt')]).toEqual([
      mine,
      '',
      'mine\n',
      'b\n',
    ])
    expect(git('symbolic-ref', 'HEAD').trim()).toBe('refs/heads/main')
    expect(existsSync(join(workspace.code, '.git/MERGE_HEAD'))).toBe(false)
  })

  it.each([{ rebase: false }, { rebase: true }])('leaves changes that are not committed alone: %j', async (args) => {
    elsewhere({ 'a.txt': 'theirs\n' })
    await workspace.plant({ 'a.txt': 'not committed\n' })
    expect(await failure(pull, args)).toMatchObject({
      code: 'execution_failed',
      message: expect.stringContaining('nothing was changed'),
    })
    expect(text('a.txt')).toBe('not committed\n')
    expect(git('stash', 'list')).toBe('')
  })

  it('tells what git said without a piece of a secret where that is cut', async () => {
    const name = (n: number) => `${n}${SECRET.value.repeat(9)}`
    const files = (content: string) => Object.fromEntries(Array.from({ length: 30 }, (_, n) => [name(n), content]))
    elsewhere(files('theirs\n'))
    await localCommit(files('mine\n'))
    const error = (await failure(pull)) as ToolError
    const { output } = error.output as { output: string }
    expect(output.length).toBeGreaterThan(1000)
    expect(output).toContain('[secret:API_TOKEN]')
    expect(output).not.toContain(SECRET.value.slice(0, 3))
  })

  it('does not end a merge that somebody else began', async () => {
    elsewhere({ 'a.txt': 'theirs\n' })
    await localCommit()
    git('fetch', '-q', bare(), 'main')
    expect(() => git('merge', '-q', 'FETCH_HEAD')).toThrow()
    expect(await failure(pull)).toMatchObject({ code: 'git_repo_error', message: /not finished/ })
    expect(existsSync(join(workspace.code, '.git/MERGE_HEAD'))).toBe(true)
  })

  it('takes one branch', async () => {
    for (const refspec of ['main:other', '+main'])
      expect(await failure(pull, { refspec })).toMatchObject({ code: 'invalid_argument' })
    const bound = { metadata: { allowed_git_ref_prefixes: 'refs/heads/side' } }
    expect(await failure(pull, {}, bound)).toMatchObject({ code: 'policy_denied' })
    expect(await failure(pull, { refspec: 'nope' })).toMatchObject({ code: 'git_repo_error' })
  })
})

describe('a remote', () => {
  const tools: [Tool, object][] = [
    [fetch, {}],
    [pull, {}],
    [push, {}],
  ]
  const marker = () => join(workspace.code, '../data/marker')

  it.each(tools)('is a name and never an address: %#', async (tool, args) => {
    for (const remote of [
      `${server.origin}/project.git`,
      '/session/code',
      '../x',
      'ext::sh -c id',
      '-x',
      '--upload-pack=x',
      'a:b',
      '.',
    ])
      expect(await failure(tool, { ...args, remote }), remote).toMatchObject({ code: 'policy_denied' })
    expect(await failure(tool, { ...args, remote: 'upstream' })).toMatchObject({
      code: 'git_repo_error',
      message: expect.stringContaining('there are origin'),
    })
    expect(server.requests).toEqual([])
  })

  it.each(tools)('is not there without network: %#', async (tool, args) => {
    expect(await failure(tool, args, { network: 'none' })).toMatchObject({ code: 'policy_denied' })
    expect(server.requests).toEqual([])
  })

  it.each([
    ['a file', () => bare()],
    ['a file by URL', () => `file://${bare()}`],
    ['a program', () => `ext::touch ${workspace.inside('../data/marker')} %S`],
    ['ssh', () => 'ssh://127.0.0.1/x'],
    ['ssh in short', () => '127.0.0.1:x'],
    ['git', () => 'git://127.0.0.1/x'],
    ['plain http elsewhere', () => 'http://git.example/x'],
    ['http to what looks like loopback', () => 'http://127.0.0.1.example/x'],
  ])('is reached by https only, not by %s', async (_, url) => {
    git('remote', 'set-url', 'origin', url())
    for (const [tool, args] of tools)
      expect(await failure(tool, args), tool.metadata.name).toMatchObject({
        code: 'git_repo_error',
        message: /not reached by https/,
      })
    git('remote', 'set-url', 'origin', `${server.origin}/project.git`)
    git('remote', 'set-url', '--push', 'origin', url())
    expect(await failure(push)).toMatchObject({ code: 'git_repo_error', message: /not reached by https/ })
    git('config', '--unset', 'remote.origin.pushurl')
    git('config', `url.${url()}.insteadOf`, server.origin)
    expect(await failure(fetch)).toMatchObject({ code: 'git_repo_error' })
    expect(existsSync(marker())).toBe(false)
    expect(server.requests).toEqual([])
  })

  it.each([
    ['http.proxy', 'http://127.0.0.1:1'],
    ['http.sslVerify', 'false'],
    ['http.extraHeader', 'x: y'],
    ['http.saveCookies', 'true'],
    ['http.https://git.example/.proxy', 'http://evil.example'],
    ['http.curloptResolve', 'git.example:443:127.0.0.1'],
  ])('is not asked when the configuration sets %s', async (key, value) => {
    git('config', key, value)
    expect(await failure(fetch)).toMatchObject({
      code: 'git_repo_error',
      message: expect.stringMatching(/^fatal: the repository's configuration sets http\./),
    })
    expect(server.requests).toEqual([])
  })

  it('starts no program of the repository', async () => {
    await localCommit({ 'a.txt': 'mine\n', '.gitattributes': '* merge=evil filter=evil\n' })
    git('branch', 'again')
    elsewhere({ 'b.txt': 'theirs\n' })
    const evil = workspace.inside('evil.sh')
    await workspace.plant({ 'evil.sh*': `#!/bin/sh\necho "$0 $*" >> '${workspace.inside('../data/marker')}'\n` })
    for (const hook of [
      'pre-push',
      'post-checkout',
      'post-merge',
      'pre-merge-commit',
      'commit-msg',
      'prepare-commit-msg',
      'pre-rebase',
      'post-rewrite',
      'reference-transaction',
      'post-commit',
      'post-index-change',
      'pre-auto-gc',
    ])
      await workspace.plant({ [`.git/hooks/${hook}*`]: text('evil.sh'), [`hooks/${hook}*`]: text('evil.sh') })
    for (const [key, value] of [
      ['core.hooksPath', workspace.inside('hooks')],
      ['core.fsmonitor', evil],
      ['credential.helper', `!${evil}`],
      [`credential.${server.origin}.helper`, `!${evil}`],
      ['core.askPass', evil],
      ['core.editor', evil],
      ['sequence.editor', evil],
      ['remote.origin.uploadpack', evil],
      ['remote.origin.receivepack', evil],
      ['gpg.program', evil],
      ['commit.gpgSign', 'true'],
      ['push.gpgSign', 'if-asked'],
      ['merge.evil.driver', evil],
      ['filter.evil.smudge', evil],
      ['filter.evil.clean', evil],
      ['branch.main.mergeOptions', '-s evil'],
      ['pull.rebase', 'interactive'],
      ['rebase.autoStash', 'true'],
      ['gc.auto', '1'],
      ['maintenance.auto', 'true'],
    ] as const)
      git('config', key, value)
    const options = { repository: { url: `${server.origin}/private/project.git`, auth_secret: SECRET.name } }
    git('remote', 'set-url', 'origin', `${server.origin}/private/project.git`)
    rmSync(marker(), { force: true })
    await call(fetch, {}, options)
    await call(pull, {}, options)
    await call(push, {}, options)
    await call(checkout, { ref: 'again' })
    expect(await call(pull, { refspec: 'main', rebase: true }, options)).toMatchObject({ pulled: true })
    expect(existsSync(marker()) ? readFileSync(marker(), 'utf8') : 'nothing ran').toBe('nothing ran')
  })

  it('gets the credential of the session, and nobody else does', async () => {
    const url = `${server.origin}/private/project.git`
    git('remote', 'set-url', 'origin', url)
    const given = { repository: { url, auth_secret: SECRET.name } }
    expect(await call(fetch, {}, given)).toMatchObject({ fetched: true })
    const expected = `Basic ${Buffer.from(`x-access-token:${SECRET.value}`).toString('base64')}`
    expect(server.authorizations).toContain(expected)
    expect(text('.git/config')).not.toContain(SECRET.value)
    // Another origin of the same machine: nothing is sent there.
    server.authorizations.length = 0
    git('remote', 'set-url', 'origin', url.replace('127.0.0.1', 'localhost'))
    expect(await failure(fetch, {}, given)).toMatchObject({ code: 'git_repo_error' })
    git('remote', 'set-url', 'origin', url)
    expect(await failure(fetch, {}, { repository: { url: 'https://git.example/x', auth_secret: SECRET.name } })).toMatchObject({
      code: 'git_repo_error',
    })
    expect(await failure(fetch)).toMatchObject({ code: 'git_repo_error' })
    expect(server.authorizations.filter(Boolean)).toEqual([])
  })

  it('with a password in its address does not show it', async () => {
    const url = `${server.origin}/private/project.git`.replace('//', '//user:hunter2pass@')
    git('remote', 'set-url', 'origin', url)
    const error = await failure(fetch)
    expect(error).toMatchObject({ code: 'git_repo_error' })
    expect(JSON.stringify([error.message, (error as { output?: unknown }).output])).not.toContain('hunter2pass')
  })

  it('tells what git does not understand from a remote that it cannot use', async () => {
    const context = workspace.context(fetch)
    const remote = await openRemote(await openRepository(context), context, 'origin', 'fetch')
    await expect(remote.run(['fetch', '--no-such-option'])).rejects.toMatchObject({ code: 'git_usage_error', exitCode: 129 })
    await expect(remote.run(['fetch', '--', 'origin', 'nowhere'])).rejects.toMatchObject({ code: 'git_repo_error' })
  })

  it.each<[Tool, object]>([
    [push, { remote: 7 }],
    [push, { refspec: 'x'.repeat(513) }],
    [push, { refspec: ['main'] }],
    [push, { force: true }],
    [push, { set_upstream: 'yes' }],
    [fetch, { remote: '' }],
    [fetch, { prune: 1 }],
    [pull, { rebase: 'interactive' }],
    [pull, { refspec: '' }],
  ])('takes no wrong types: %#', (tool, args) => {
    expect(tool.input.safeParse(args).success).toBe(false)
  })
})

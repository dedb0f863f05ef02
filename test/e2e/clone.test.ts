import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { GitHttpServer } from '../support/git-http-server.ts'
import { ServerProcess } from '../support/server-process.ts'

/** Sessions from repositories: a real git server (git http-backend behind HTTP) on loopback, public and private. */

const TOKEN = 'git-server-token-value'

let folder: string
let git: GitHttpServer
let origin: string
let server: ServerProcess

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-git-'))
  makeRepository('plain', { 'README.md': 'hello from the repository\n', 'instructions.md': 'of the repository itself\n' })
  makeRepository('tracks-cloister', { '.cloister/setup.sh': 'echo evil\n' })
  git = await GitHttpServer.start(folder, { token: TOKEN })
  origin = git.origin
  server = await ServerProcess.start({ env: { CLOISTER_REPO_HOSTS: `github.com,${origin}` } })
})
afterAll(async () => {
  await server.destroy()
  await git.stop()
  rmSync(folder, { recursive: true })
})

function makeRepository(name: string, files: Record<string, string>): void {
  const directory = join(folder, name)
  execFileSync('git', ['init', '-q', '-b', 'trunk', directory])
  for (const [path, content] of Object.entries(files)) {
    execFileSync('mkdir', ['-p', join(directory, path, '..')])
    writeFileSync(join(directory, path), content)
  }
  const run = (...args: string[]) => execFileSync('git', ['-C', directory, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args])
  run('add', '.')
  run('commit', '-qm', 'first')
  run('tag', 'v1')
  run('checkout', '-qb', 'feature')
  writeFileSync(join(directory, 'feature.txt'), 'only on the branch\n')
  run('add', '.')
  run('commit', '-qm', 'second')
  run('checkout', '-q', 'trunk')
}

const read = async (id: string, path: string) => (await server.invoke(id, 'fs.read', { path })).body.invocation?.output?.content

it('clones, keeps its own files out of the way, and runs setup after', async () => {
  const session = await server.session({
    repo_url: `${origin}/plain`,
    instructions: 'of the session',
    setup: '#!/bin/sh\ngit log --oneline | wc -l > /session/data/commits',
  })
  expect(session).toMatchObject({ state: 'idle', state_reason: null })
  expect(await read(session.id, 'README.md')).toBe('hello from the repository\n')
  expect(await read(session.id, 'instructions.md')).toBe('of the repository itself\n')
  expect(await read(session.id, '.cloister/instructions.md')).toBe('of the session')
  expect(await read(session.id, '/session/data/commits')).toBe('1\n')
  expect((await server.invoke(session.id, 'git.status', {})).body.invocation.output.status).toBe('')
  const listed = (await server.request('GET', `/v1/sessions/${session.id}/invocations`)).body.invocations
  expect(
    listed.map((invocation: { tool_name: string; actor: { kind: string } }) => [invocation.tool_name, invocation.actor.kind]),
  ).toEqual(
    expect.arrayContaining([
      ['session.clone', 'system'],
      ['session.setup', 'system'],
    ]),
  )

  // Close and restore clone nothing again: what was changed stays.
  await server.invoke(session.id, 'fs.write', { path: 'mine.txt', content: 'kept' }, { approved: true })
  const requests = git.authorizations.length
  await server.request('POST', `/v1/sessions/${session.id}/close`)
  await server.request('POST', `/v1/sessions/${session.id}/restore`)
  await server.waitForState(session.id, (state) => state === 'idle')
  expect(await read(session.id, 'mine.txt')).toBe('kept')
  expect(git.authorizations).toHaveLength(requests)
})

it.each([['feature'], ['v1']])('clones the ref %s', async (repo_ref) => {
  const { id, state, state_reason } = await server.session({ repo_url: `${origin}/plain`, repo_ref })
  expect([state, state_reason]).toEqual(['idle', null])
  const feature = await server.invoke(id, 'fs.read', { path: 'feature.txt' })
  expect(feature.body.invocation.status).toBe(repo_ref === 'feature' ? 'succeeded' : 'failed')
})

it('clones a commit', async () => {
  const commit = execFileSync('git', ['-C', join(folder, 'plain'), 'rev-parse', 'feature'])
    .toString()
    .trim()
  const { id, state, state_reason } = await server.session({ repo_url: `${origin}/plain`, repo_ref: commit })
  expect([state, state_reason]).toEqual(['idle', null])
  expect(await read(id, 'feature.txt')).toBe('only on the branch\n')
})

it('clones a private repository with a secret that ends up nowhere', async () => {
  const { id, state, state_reason } = await server.session({
    repo_url: `${origin}/private/plain`,
    secrets: { GIT_TOKEN: TOKEN },
    repo_auth_secret: 'GIT_TOKEN',
  })
  expect([state, state_reason]).toEqual(['idle', null])
  expect(git.authorizations.filter(Boolean).length).toBeGreaterThan(0)
  expect(await read(id, '.git/config')).not.toContain(TOKEN)
  const found = await server.invoke(id, 'fs.search', { pattern: 'git-server', path: '.' })
  expect(found.body.invocation.output.count).toBe(0)
})

it.each([
  [
    'a wrong token',
    { repo_url: '/private/plain', secrets: { GIT_TOKEN: 'wrong-token-value' }, repo_auth_secret: 'GIT_TOKEN' },
    /clone exited with/,
  ],
  ['no token', { repo_url: '/private/plain' }, /clone exited with/],
  ['no such repository', { repo_url: '/missing' }, /clone exited with/],
  ['no such ref', { repo_url: '/plain', repo_ref: 'no-such-branch' }, /no-such-branch/],
  ['a repository that tracks .cloister', { repo_url: '/tracks-cloister', instructions: 'x' }, /tracks \.cloister/],
])('%s: the session is in error, with the reason, and without the token', async (_name, fields, reason) => {
  const session = await server.session({ ...fields, repo_url: `${origin}${fields.repo_url}` })
  expect(session.state).toBe('error')
  expect(session.state_reason).toMatch(reason)
  expect(session.state_reason).not.toContain('wrong-token-value')
  const refused = await server.invoke(session.id, 'fs.list', {})
  expect([refused.status, refused.body.error.code]).toEqual([409, 'conflict'])
})

it('source_repo_path copies a directory: links as links, no setuid, nothing outside', async () => {
  const source = mkdtempSync(join(tmpdir(), 'cloister-source-'))
  execFileSync(
    'sh',
    [
      '-c',
      'echo content > file; chmod 4755 file; ln -s /etc/passwd link; mkfifo pipe; mkdir sub; echo deep > sub/deep; git init -q .',
    ],
    { cwd: source },
  )
  const copying = await ServerProcess.start({ env: { CLOISTER_SOURCE_ROOTS: source } })
  try {
    const made = await copying.request('POST', '/v1/sessions', { body: { source_repo_path: source, instructions: 'x' } })
    expect([made.status, made.body.session.state, made.body.session.state_reason]).toEqual([201, 'idle', null])
    const id = made.body.session.id
    const listing = (await copying.invoke(id, 'fs.list', { recursive: true })).body.invocation.output.entries
    const modes = Object.fromEntries(listing.map((entry: { path: string; mode: string }) => [entry.path, entry.mode]))
    expect(Object.keys(modes)).toEqual(expect.arrayContaining(['file', 'sub/deep', '.cloister/instructions.md']))
    expect(Object.keys(modes)).not.toContain('pipe')
    expect(modes['file']).toMatch(/^0?0755$/)
    expect((await copying.invoke(id, 'fs.read', { path: 'link' })).body.error.code).toBe('policy_denied')
    for (const path of ['/etc', join(source, '..'), `${source}/../..`, '/no/such/place', 'relative', copying.home])
      expect((await copying.request('POST', '/v1/sessions', { body: { source_repo_path: path } })).status).toBe(400)
  } finally {
    await copying.destroy()
    rmSync(source, { recursive: true })
  }
})

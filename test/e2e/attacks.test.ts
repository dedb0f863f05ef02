import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'

/** Attacks through the API on the whole server, each judged by its effect outside. */

let server: ServerProcess
let outside: string

beforeAll(async () => {
  outside = mkdtempSync(join(tmpdir(), 'cloister-outside-'))
  server = await ServerProcess.start({
    env: { WORKSPACE_MAX_OUTPUT_BYTES_PER_INVOCATION: String(8 * 1024 * 1024), CANARY: 'canary-in-the-servers-environment' },
  })
})
afterAll(async () => {
  await server.destroy()
  rmSync(outside, { recursive: true, force: true })
})

const script = (...lines: string[]) => ['#!/bin/bash', ...lines, ''].join('\n')
/** A project whose `npm test` runs a shell script: how hostile code of a repository gets to run. */
const project = (...lines: string[]) =>
  script(
    "cat > package.json <<'END'",
    JSON.stringify({ name: 'x', scripts: { test: 'bash ./attack.sh' } }),
    'END',
    "cat > attack.sh <<'END_OF_ATTACK'",
    ...lines,
    'END_OF_ATTACK',
  )
const patch = (...lines: string[]) => [...lines, ''].join('\n')

describe('paths', () => {
  let id: string
  beforeAll(async () => {
    const session = await server.session({
      secrets: { API_TOKEN: 'hush-hush-secret-value' },
      setup: script(
        'ln -s /etc/passwd passwd',
        'ln -s /session/secrets secrets',
        'ln -s /session/secrets/API_TOKEN token',
        'ln -s /etc etc',
        'ln -s ../../../../../../etc/passwd climbing',
        'mkdir -p src lib && echo inside > src/file.txt && git init -q . && git add src',
      ),
    })
    expect(session).toMatchObject({ state: 'idle' })
    id = session.id
  })

  it.each([
    ['fs.read', { path: '../../etc/passwd' }],
    ['fs.read', { path: '/etc/passwd' }],
    ['fs.read', { path: '/proc/self/environ' }],
    ['fs.read', { path: '/session/secrets/API_TOKEN' }],
    ['fs.read', { path: '../secrets/API_TOKEN' }],
    ['fs.read', { path: 'src/../../secrets/API_TOKEN' }],
    ['fs.read', { path: 'src\0/../../x' }],
    ['fs.read', { path: 'passwd' }],
    ['fs.read', { path: 'token' }],
    ['fs.read', { path: 'secrets/API_TOKEN' }],
    ['fs.read', { path: 'etc/passwd' }],
    ['fs.read', { path: 'climbing' }],
    ['fs.list', { path: '/session/secrets' }],
    ['fs.list', { path: 'secrets' }],
    ['fs.list', { path: 'etc' }],
    ['fs.list', { path: '/' }],
    ['fs.search', { pattern: 'hush', path: '/session/secrets' }],
    ['fs.search', { pattern: 'root', path: '/etc' }],
    ['fs.write', { path: '../../etc/cloister-attack', content: 'x' }],
    ['fs.write', { path: '/session/secrets/API_TOKEN', content: 'x' }],
    ['fs.write', { path: 'secrets/NEW', content: 'x' }],
    ['fs.write', { path: 'passwd', content: 'x' }],
    ['fs.write', { path: 'etc/cloister-attack', content: 'x' }],
    ['fs.write', { path: '.git/hooks/post-checkout', content: 'x' }],
    ['fs.write', { path: '.GIT/config', content: 'x' }],
    ['fs.write', { path: 'src/../.git/config', content: 'x' }],
    ['fs.edit', { path: 'passwd', old_string: 'root', new_string: 'toor' }],
    ['fs.edit', { path: '.git/config', old_string: 'core', new_string: 'eroc' }],
    ['git.apply_patch', { patch: patch('--- a/../../etc/x', '+++ b/../../etc/x', '@@ -0,0 +1 @@', '+x') }],
    ['git.apply_patch', { patch: patch('--- /dev/null', '+++ b/.git/hooks/pre-commit', '@@ -0,0 +1 @@', '+x') }],
    ['git.diff', { paths: ['../../etc/passwd'] }],
    ['git.diff', { paths: ['/etc/passwd'] }],
    ['git.diff', { base: '--output=/session/code/stolen' }],
    ['git.diff', { base: 'HEAD:src' }],
  ])('%s %j is refused, and nothing of it comes back', async (tool, args) => {
    const answer = await server.invoke(id, tool, args, { approved: true })
    expect(answer.text).not.toMatch(/root:|hush-hush/)
    expect([answer.status, answer.body.error?.code ?? answer.body.invocation?.error?.code]).toEqual([403, 'policy_denied'])
    expect(answer.body.invocation.status).toBe('denied')
  })

  it('fs.search does not follow a link that it is given', async () => {
    const answer = await server.invoke(id, 'fs.search', { pattern: 'root', path: 'etc' })
    expect(answer.body.invocation).toMatchObject({ status: 'failed', error: { code: 'invalid_argument' }, output: null })
  })

  it('left no trace: nothing planted, nothing changed', async () => {
    expect(existsSync('/etc/cloister-attack')).toBe(false)
    expect(readFileSync(join(server.home, 'volumes', id, 'secrets', 'API_TOKEN'), 'utf8')).toBe('hush-hush-secret-value')
    expect(readdirSync(join(server.home, 'volumes', id, 'secrets'))).toEqual(['API_TOKEN'])
    const listing = await server.invoke(id, 'fs.list', { recursive: true, max_entries: 1000 })
    expect(listing.text).not.toContain('stolen')
    const config = await server.invoke(id, 'fs.read', { path: '.git/config' })
    expect(config.body.invocation.output.content).not.toContain('eroc')
  })

  it('the files endpoint is behind the same gate', async () => {
    for (const path of ['../../etc/passwd', '/session/secrets/API_TOKEN', 'token', 'passwd', 'etc/passwd']) {
      const got = await server.request('GET', `/v1/sessions/${id}/files?path=${encodeURIComponent(path)}`)
      expect([path, got.status]).toEqual([path, 403])
      expect(got.text).not.toMatch(/root:|hush-hush/)
      const put = await fetch(`${server.url}/v1/sessions/${id}/files?path=${encodeURIComponent(path)}&approved=true`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${await server.adminToken()}`, 'content-type': 'application/octet-stream' },
        body: 'x',
      })
      expect([path, put.status]).toEqual([path, 403])
    }
    expect(readFileSync('/etc/passwd', 'utf8')).toContain('root:')
  })
})

it('a link swapped in while calls run leaks no byte of the secret and writes nothing beside', async () => {
  const { id, state } = await server.session({
    secrets: { API_TOKEN: 'swapped-secret-value' },
    auto_approve: ['fs.write'],
    setup: project(
      'mkdir -p dir real; echo fine > real/API_TOKEN; echo fine > plain',
      'end=$((SECONDS + 6))',
      'while [ $SECONDS -lt $end ]; do',
      '  ln -sfn /session/secrets dir; ln -sfn real dir',
      '  ln -sf /session/secrets/API_TOKEN target; cp plain target.new; mv -f target.new target',
      'done',
    ),
  })
  expect(state).toBe('idle')
  const running = server.invoke(id, 'repo.run_tests', {})
  let reads = 0
  let done = false
  void running.then(() => {
    done = true
  })
  while (!done) {
    const [viaDirectory, viaFile, written] = await Promise.all([
      server.invoke(id, 'fs.read', { path: 'dir/API_TOKEN' }),
      server.invoke(id, 'fs.read', { path: 'target' }),
      server.invoke(id, 'fs.write', { path: 'dir/planted', content: 'x' }),
    ])
    expect(viaDirectory.text + viaFile.text).not.toMatch(/swapped-secret-value|\[secret:/)
    expect(written.status).not.toBe(500)
    reads += 2
  }
  expect(reads).toBeGreaterThan(10)
  expect(readdirSync(join(server.home, 'volumes', id, 'secrets'))).toEqual(['API_TOKEN'])
})

it.each([
  ['core.fsmonitor', ['git config core.fsmonitor "$PWD/evil.sh"']],
  ['core.hooksPath', ['mkdir hooks; cp evil.sh hooks/post-index-change; git config core.hooksPath "$PWD/hooks"']],
  ['diff.external', ['git config diff.external "$PWD/evil.sh"']],
  ['a textconv driver', ['echo "*.txt diff=evil" > .gitattributes; git config diff.evil.textconv "$PWD/evil.sh"']],
  [
    'a clean filter',
    [
      'echo "*.txt filter=evil" > .gitattributes; git config filter.evil.clean "$PWD/evil.sh"; git config filter.evil.smudge "$PWD/evil.sh"',
    ],
  ],
  [
    'a process filter',
    [
      'echo "*.txt filter=evil" > .gitattributes; git config filter.evil.process "$PWD/evil.sh"; git config filter.evil.required true',
    ],
  ],
  ['core.worktree', ['git config core.worktree /session/secrets']],
  [
    'an included file',
    ['printf "[core]\\n\\tfsmonitor = %s/evil.sh\\n" "$PWD" > included; git config include.path "$PWD/included"'],
  ],
  ['core.pager', ['git config core.pager "$PWD/evil.sh"; git config pager.diff true']],
] as const)('git: %s of the repository does not run', async (_name, lines) => {
  const { id, state, state_reason } = await server.session({
    secrets: { API_TOKEN: 'git-secret-value' },
    setup: script(
      'set -e; git init -q .; git config user.email a@b; git config user.name a; echo one > file.txt; git add .; git commit -qm one',
      // It answers like the program it stands for, so that a filter would not fail for another reason.
      "printf '#!/bin/sh\\ntouch /session/data/ran\\ncat\\n' > evil.sh; chmod +x evil.sh",
      ...lines,
      'echo two > file.txt; sleep 1; touch file.txt; rm -f /session/data/ran',
    ),
  })
  expect([state, state_reason]).toEqual(['idle', null])
  const status = await server.invoke(id, 'git.status', {})
  const diff = await server.invoke(id, 'git.diff', {})
  const applied = await server.invoke(
    id,
    'git.apply_patch',
    { patch: patch('--- a/file.txt', '+++ b/file.txt', '@@ -1 +1 @@', '-two', '+three') },
    { approved: true },
  )
  expect([status.status, diff.status, applied.status]).toEqual([200, 200, 200])
  expect(status.body.invocation).toMatchObject({ status: 'succeeded' })
  expect(status.body.invocation.output.status).toContain('file.txt')
  expect(status.text + diff.text).not.toContain('git-secret-value')
  const ran = await server.invoke(id, 'fs.list', { path: '/session/data', recursive: true })
  expect(ran.text).not.toContain('/session/data/ran')
})

it('a patch that renames, copies or links out of the allowed paths changes nothing', async () => {
  const { id } = await server.session({
    allowed_paths: ['src'],
    setup: script('mkdir src lib; echo a > src/a.txt; echo b > lib/b.txt; git init -q .; git add .'),
  })
  const attempts = [
    patch('diff --git a/src/a.txt b/lib/a.txt', 'similarity index 100%', 'rename from src/a.txt', 'rename to lib/a.txt'),
    patch('diff --git a/lib/b.txt b/src/b.txt', 'similarity index 100%', 'copy from lib/b.txt', 'copy to src/b.txt'),
    patch('diff --git a/lib/b.txt b/lib/b.txt', 'old mode 100644', 'new mode 100755'),
    patch(
      'diff --git a/lib/b.txt b/lib/b.txt',
      'deleted file mode 100644',
      '--- a/lib/b.txt',
      '+++ /dev/null',
      '@@ -1 +0,0 @@',
      '-b',
    ),
    patch(
      'diff --git "a/src/../lib/c" "b/src/../lib/c"',
      'new file mode 100644',
      '--- /dev/null',
      '+++ "b/src/../lib/c"',
      '@@ -0,0 +1 @@',
      '+c',
    ),
  ]
  for (const attempt of attempts) {
    const answer = await server.invoke(id, 'git.apply_patch', { patch: attempt }, { approved: true })
    expect([answer.status, answer.body.error?.code]).toEqual([403, 'policy_denied'])
  }
  const volume = join(server.home, 'volumes', id, 'volume', 'code')
  expect(readdirSync(join(volume, 'lib'))).toEqual(['b.txt'])
  expect(readdirSync(join(volume, 'src'))).toEqual(['a.txt'])
  expect(statSync(join(volume, 'lib/b.txt')).mode & 0o111).toBe(0)
})

it("inside, there is no server's environment, database, other volume, shadow, or loopback", async () => {
  const other = await server.session({
    secrets: { OTHER: 'the-other-sessions-secret' },
    setup: script('echo other-sessions-file > here.txt'),
  })
  expect(other.state).toBe('idle')
  let connections = 0
  const listener = createServer((socket) => {
    connections++
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => listener.once('listening', resolve))
  const port = (listener.address() as { port: number }).port
  const { id, state, state_reason } = await server.session({
    setup: script(
      'exec > /session/data/report.txt 2>&1',
      'cat /proc/[0-9]*/environ | tr "\\0" "\\n"',
      `ls -la ${server.home} ${server.home}/volumes/${other.id}`,
      `cat ${server.home}/cloister.db ${server.home}/volumes/${other.id}/volume/code/here.txt ${server.home}/volumes/${other.id}/secrets/OTHER`,
      'cat /etc/shadow',
      'ls -la /proc/1/root/ /proc/self/fd',
      'find / -xdev -name "*.db" -not -path "/usr/*" 2>/dev/null',
      `(exec 3<>/dev/tcp/127.0.0.1/${port}) && echo REACHED-LISTENER`,
      `(exec 3<>/dev/tcp/127.0.0.1/${new URL(server.url).port}) && echo REACHED-SERVER`,
      'echo core > /proc/sys/kernel/core_pattern && echo WROTE-CORE-PATTERN',
      'unshare -Ur true && echo NEW-USER-NAMESPACE',
      'true',
    ),
  })
  listener.close()
  expect([state, state_reason]).toEqual(['idle', null])
  const report = (await server.invoke(id, 'fs.read', { path: '/session/data/report.txt', max_bytes: 1_048_576 })).body.invocation
    .output.content
  expect(report).toContain('/etc/shadow')
  for (const leak of [
    /canary-in-the-servers-environment/,
    /correct horse/,
    /the-other-sessions-secret/,
    /other-sessions-file/,
    /SQLite format/,
    /root:[$*!]/,
    /REACHED/,
    /WROTE-CORE-PATTERN/,
    /NEW-USER-NAMESPACE/,
  ])
    expect(report).not.toMatch(leak)
  expect(connections).toBe(0)
})

describe('greed', () => {
  const alive = async () => expect((await server.request('GET', '/readyz', { token: null })).status).toBe(200)

  it('a fork bomb meets the limit, and the machine goes on', async () => {
    const { id } = await server.session({
      limits: { pids: 64 },
      setup: project('bomb() { bomb | bomb & }', 'bomb', 'sleep 3', 'exit 1'),
    })
    const answer = await server.invoke(id, 'repo.run_tests', {})
    expect(answer.status === 200 ? answer.body.invocation.status : answer.body.error.code).toMatch(/failed|sandbox_unavailable/)
    await alive()
    expect(execFileSync('sh', ['-c', 'echo still forking']).toString()).toBe('still forking\n')
    // Also the next call gets its turn, in this sandbox or, if the bomb took it down, in the next.
    const after = await server.invoke(id, 'fs.list', {})
    expect([200, 503]).toContain(after.status)
    expect((await server.request('POST', `/v1/sessions/${id}/close`)).body.session.state).toBe('closed')
  })

  it('a memory bomb dies inside', async () => {
    const { id } = await server.session({
      limits: { memory_mb: 128 },
      setup: project('node -e "const a=[];for(;;)a.push(Buffer.alloc(8<<20,1))"'),
    })
    const answer = await server.invoke(id, 'repo.run_tests', {})
    expect(answer.body.invocation.status).toBe('failed')
    await alive()
    const after = await server.invoke(id, 'fs.list', {})
    expect(after.body.invocation.status).toBe('succeeded')
  })

  it('10 GB of output is cut off, and what came before is kept', async () => {
    const { id } = await server.session({ setup: project('echo the-first-line', 'head -c 10G /dev/zero | tr "\\0" "a"') })
    const answer = await server.invoke(id, 'repo.run_tests', {})
    expect(answer.body.invocation).toMatchObject({ status: 'failed', error: { code: 'output_too_large' } })
    const logs = await server.request('GET', `/v1/invocations/${answer.body.invocation.id}/logs`)
    expect(logs.text).toContain('the-first-line')
    await alive()
  })

  it('a process that leaves its group is gone with its invocation', async () => {
    const { id } = await server.session({ setup: project('setsid sh -c "sleep 5; touch /session/data/stray" &', 'exit 0') })
    await server.invoke(id, 'repo.run_tests', {})
    await new Promise((resolve) => setTimeout(resolve, 6000))
    const listing = await server.invoke(id, 'fs.list', { path: '/session/data', recursive: true })
    expect(listing.text).not.toContain('stray')
  })
})

describe('identity', () => {
  it('a session id that is a path is refused, and makes nothing', async () => {
    for (const session_id of ['../x', '..', 'a/b', '/etc', 'A', '', 'x'.repeat(65)]) {
      const answer = await server.request('POST', '/v1/sessions', { body: { session_id } })
      expect([session_id, answer.status, answer.body.error.code]).toEqual([session_id, 400, 'invalid_argument'])
    }
    expect(existsSync(join(server.home, 'x'))).toBe(false)
  })

  it('an id that is taken is refused, and the first session keeps its files', async () => {
    const { id } = await server.session({ session_id: 'taken', secrets: { API_TOKEN: 'first-of-its-name' } })
    const again = await server.request('POST', '/v1/sessions', {
      body: { session_id: 'taken', secrets: { API_TOKEN: 'second-of-its-name' } },
    })
    expect([again.status, again.body.error.code]).toEqual([409, 'conflict'])
    expect(readFileSync(join(server.home, 'volumes', id, 'secrets', 'API_TOKEN'), 'utf8')).toBe('first-of-its-name')
  })

  it('a plain user cannot take a role beyond its own, another principal, or the network', async () => {
    const token = await server.user('mallory')
    const attempts: [unknown, number][] = [
      [{ principal: { tenant_id: 'default', actor_id: 'mallory', roles: ['platform_admin'] } }, 403],
      [{ principal: { tenant_id: 'default', actor_id: 'admin', roles: ['developer'] } }, 403],
      [{ network: 'host' }, 400],
      [{ limits: { memory_mb: 1_000_000 } }, 400],
      [{ source_repo_path: '/etc' }, 400],
      [{ repo_url: 'file:///etc' }, 400],
      [{ repo_url: 'https://127.0.0.1/x.git' }, 400],
      [{ repo_url: 'http://github.com/a/b.git' }, 400],
      [{ repo_url: 'ext::sh -c touch% /tmp/x' }, 400],
      [{ secrets: { LD_PRELOAD: '/tmp/evil.so' } }, 400],
      [{ isolation_floor: 'vm' }, 503],
      [{ surprise: true }, 400],
    ]
    for (const [body, status] of attempts) {
      const answer = await server.request('POST', '/v1/sessions', { token, body })
      expect([body, answer.status]).toEqual([body, status])
    }
    expect((await server.request('GET', '/v1/sessions', { token })).body.sessions).toEqual([])
  })
})

it('an instructions.md that is a link in a repository is not followed', async () => {
  const bait = join(outside, 'bait.txt')
  writeFileSync(bait, 'bait-on-the-machine')
  const { id } = await server.session({
    instructions: 'the real ones',
    setup: script(`rm instructions.md; ln -s ${bait} instructions.md; ln -s /session/secrets/API_TOKEN link`),
    secrets: { API_TOKEN: 'linked-secret-value' },
  })
  await server.request('POST', `/v1/sessions/${id}/messages`, { body: { content: 'hello' } })
  await server.waitForState(id, (state) => state === 'idle')
  const events = await server.events(id)
  expect(events.some((event) => event.type === 'model.called')).toBe(true)
  expect(JSON.stringify(events)).not.toContain('bait-on-the-machine')
})

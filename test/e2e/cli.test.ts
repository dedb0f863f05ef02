import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ADMIN_PASSWORD, ServerProcess } from '../support/server-process.ts'

/** The commands as processes against a whole server: what they print, what they exit with. */

const BIN = fileURLToPath(new URL('../../bin/cloister.mjs', import.meta.url))

interface Result {
  code: number | null
  stdout: string
  stderr: string
}

let server: ServerProcess
let work: string
let environment: Record<string, string>

function start(args: readonly string[], env: Record<string, string> = {}): { child: ChildProcess; done: Promise<Result> } {
  const child = spawn(process.execPath, [BIN, ...args], { env: { ...environment, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  const done = new Promise<Result>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
  return { child, done }
}

async function cloister(
  args: readonly string[],
  options: { env?: Record<string, string>; stdin?: string } = {},
): Promise<Result> {
  const { child, done } = start(args, options.env)
  child.stdin?.end(options.stdin ?? '')
  return await done
}

/** Runs with `--json` and expects success. */
// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
async function json(args: readonly string[], env?: Record<string, string>): Promise<any> {
  const result = await cloister([...args, '--json'], env ? { env } : {})
  expect(result).toMatchObject({ code: 0, stderr: '' })
  return JSON.parse(result.stdout)
}

/** Waits until text has appeared in what a process prints. */
async function printed(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  let text = ''
  return await new Promise((resolve, reject) => {
    const onData = (chunk: string) => {
      text += chunk
      const match = pattern.exec(text)
      if (match) resolve(match)
    }
    child.stdout?.on('data', onData)
    child.stderr?.on('data', onData)
    child.once('close', () => reject(new Error(`ended before ${pattern} was printed:\n${text}`)))
  })
}

/** Runs with a terminal, which `script` gives. */
function atTerminal(args: readonly string[], columns = 100): ChildProcess {
  const command = `stty columns ${columns}; ${[process.execPath, BIN, ...args].map((each) => `'${each}'`).join(' ')}`
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...environment, TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdout.setEncoding('utf8')
  child.stderr.setEncoding('utf8')
  return child
}

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

const SCRIPT = {
  chunk_delay_ms: 10,
  steps: [
    {
      when: 'write a note',
      say: 'I write it.',
      call: [{ tool: 'fs.write', args: { path: 'note.txt', content: 'first line\nsecond line\n' } }],
    },
    { when: 'write a note', expect: { status: 'succeeded' }, say: 'It is written.' },
    { when: 'write a note', expect: { status: 'denied' }, say: 'You said no.' },
    { when: 'look around', say: 'I look.', call: [{ tool: 'fs.list', args: {} }] },
    { when: 'look around', say: 'I have looked.' },
    { when: 'misbehave', say: 'be\u001b]0;owned\u0007fore \u001b[2Jafter\u202e' },
    { when: 'take your time', say: 'a very long answer '.repeat(500) },
  ],
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'cloister-cli-'))
  const scripts = join(work, 'scripts')
  mkdirSync(scripts)
  writeFileSync(join(scripts, 'cli.json'), JSON.stringify(SCRIPT))
  server = await ServerProcess.start({
    env: { CLOISTER_SCRIPTS: scripts, CLOISTER_MODEL: 'scripted/cli', CLOISTER_SOURCE_ROOTS: work, CLOISTER_SHELL: '1' },
  })
  environment = { PATH: process.env['PATH'] ?? '', HOME: work, XDG_CONFIG_HOME: join(work, 'config'), CLOISTER_URL: server.url }
})

afterAll(async () => {
  await server?.destroy()
  rmSync(work, { recursive: true, force: true })
})

describe('before a login', () => {
  it('says how to log in, and exits with 6', async () => {
    const result = await cloister(['session', 'list'])
    expect(result.code).toBe(6)
    expect(result.stdout).toBe('')
    expect(result.stderr).toMatch(/^error: .*\(unauthorized\)\n {2}hint: log in: cloister login\n {2}request: req_\w+\n$/)
  })

  it('says the same as JSON', async () => {
    const result = await cloister(['session', 'list', '--json'])
    expect(result.code).toBe(6)
    expect(JSON.parse(result.stderr)).toMatchObject({
      error: { code: 'unauthorized', request_id: expect.stringMatching(/^req_/) },
    })
  })

  it.each([
    ['no such command', ['frobnicate'], /unknown command/],
    ['no such option', ['session', 'list', '--frobnicate'], /unknown option/],
    ['a missing argument', ['session', 'get'], /missing required argument/],
    ['a number that is none', ['session', 'create', '--memory', 'much'], /whole number/],
    ['args that are no JSON', ['tool', 'invoke', 's', 'fs.list', '{'], /ARGS is not JSON/],
    ['args that are no object', ['tool', 'invoke', 's', 'fs.list', '[]'], /JSON object/],
    ['a URL that is none', ['--url', 'ftp://x', 'session', 'list'], /not the URL of a server/],
    ['a credential in the URL', ['--url', 'http://user:pw@localhost', 'session', 'list'], /not the URL of a server/],
    ['a secret on the command line', ['session', 'create', '--secret', 'TOKEN=hunter22'], /must not stand on the command line/],
    ['a secret without a value', ['session', 'create', '--secret', 'NOT_SET'], /no value for the secret NOT_SET/],
    ['no password and nobody to ask', ['login', '--user', 'ada'], /nobody to ask/],
  ])('%s: exits with 2', async (_what, args, message) => {
    const result = await cloister(args)
    expect(result.code).toBe(2)
    expect(result.stderr).toMatch(message)
    expect(result.stderr).not.toContain('hunter22')
  })

  it.each([
    [['frobnicate'], 'cloister --help'],
    [['session', 'lst'], 'Did you mean one of list, ls? cloister session --help'],
    [['session', 'list', '--frobnicate'], 'cloister session list --help'],
    [['--url', 'http://localhost', 'session', 'get'], 'cloister session get --help'],
    [['session', 'create', '--memory', 'much'], 'cloister session create --help'],
    [['session'], 'cloister session --help'],
    [[], 'cloister --help'],
  ])('%j is wrong: one JSON document says so and where help is', async (args, help) => {
    const result = await cloister([...args, '--json'])
    expect(result).toMatchObject({ code: 2, stdout: '' })
    const { error } = JSON.parse(result.stderr)
    expect(error).toMatchObject({ code: 'usage', hint: `${help} says what there is` })
    if (args.length > 1) expect((await cloister(args)).stderr).toBe(`error: ${error.message} (usage)\n  hint: ${error.hint}\n`)
  })

  it('ends with its exit code when nobody reads its errors', async () => {
    const { child, done } = start(['session', 'list', '--frobnicate'])
    child.stderr?.destroy()
    expect((await done).code).toBe(2)
  })

  it('exits with 7 when there is no server', async () => {
    const result = await cloister(['--url', `http://127.0.0.1:${await closedPort()}`, 'session', 'list'])
    expect(result.code).toBe(7)
    expect(result.stderr).toMatch(/ECONNREFUSED[\s\S]*cloister serve/)
  })

  it.each([[[]], [['session', 'create']]])('help of %j goes to stdout and exits with 0', async (args) => {
    const help = await cloister([...args, '--help'])
    expect(help).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^Usage: cloister[\s\S]*Examples:\n {2}/) })
  })
})

describe('login', () => {
  it('refuses a wrong password with 6 and stores nothing', async () => {
    const result = await cloister(['login', '--password-stdin'], { stdin: 'wrong password\n' })
    expect(result.code).toBe(6)
    expect(result.stderr).toMatch(/wrong user name or password \(unauthorized\)\n {2}hint: another name: --user NAME;/)
    expect(() => statSync(join(work, 'config', 'cloister', 'credentials.json'))).toThrow()
  })

  it('stores a token that only its owner can read, and not the password', async () => {
    const result = await cloister(['login', '--password-stdin'], { stdin: `${ADMIN_PASSWORD}\n` })
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout).toMatch(/^logged in to http:\/\/127\.0\.0\.1:\d+ as admin until /)
    const file = join(work, 'config', 'cloister', 'credentials.json')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readFileSync(file, 'utf8')).not.toContain(ADMIN_PASSWORD)
    expect(await json(['whoami'])).toMatchObject({ actor_id: 'admin' })
  })

  it('logs out', async () => {
    const env = { XDG_CONFIG_HOME: join(work, 'other-config') }
    await cloister(['login', '--password-stdin'], { stdin: ADMIN_PASSWORD, env })
    expect((await cloister(['whoami'], { env })).code).toBe(0)
    expect((await cloister(['logout'], { env })).code).toBe(0)
    expect((await cloister(['whoami'], { env })).code).toBe(6)
  })

  it('finds the generated password of a server on this machine, when told to', async () => {
    const other = mkdtempSync(join(tmpdir(), 'cloister-cli-home-'))
    writeFileSync(join(other, 'admin-password'), `${ADMIN_PASSWORD}\n`, { mode: 0o600 })
    const env = { CLOISTER_HOME: other, XDG_CONFIG_HOME: join(other, 'config') }
    expect((await cloister(['login'], { env })).stderr).toContain('--yes uses the generated one')
    expect(await cloister(['login', '--yes'], { env })).toMatchObject({ code: 0 })
    rmSync(other, { recursive: true })
  })

  it('CLOISTER_TOKEN goes before what is stored', async () => {
    const env = { CLOISTER_TOKEN: 'not-a-token' }
    const refused = await cloister(['whoami'], { env })
    expect(refused).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('hint: CLOISTER_TOKEN is set, and is not valid here'),
    })
    const login = await cloister(['login', '--password-stdin'], { env, stdin: ADMIN_PASSWORD })
    expect(login).toMatchObject({ code: 0, stderr: expect.stringContaining('CLOISTER_TOKEN is set and goes before it') })
  })
})

describe('a session', () => {
  const id = 'cli-session'

  it('is created from a directory, a secret from the environment, instructions and a setup script', async () => {
    const source = join(work, 'source')
    mkdirSync(source)
    writeFileSync(join(source, 'hello.txt'), 'hello\n')
    execFileSync('git', ['init', '--quiet', source], { env: { PATH: environment['PATH'], GIT_CONFIG_GLOBAL: '/dev/null' } })
    writeFileSync(join(work, 'instructions.md'), '# Be brief\n')
    writeFileSync(join(work, 'setup.sh'), '#!/bin/bash\necho "the token is $TOKEN, $(printf %s "$TOKEN" | wc -c) characters"\n')
    const files = ['--instructions', join(work, 'instructions.md'), '--setup', join(work, 'setup.sh')]
    const { session } = await json(
      ['session', 'create', '--id', id, '--name', 'by CLI', '--source', source, '--secret', 'TOKEN', ...files, '--wait'],
      {
        TOKEN: 'a-secret-of-24-characters',
      },
    )
    expect(session).toMatchObject({ id, name: 'by CLI', state: 'idle' })
    const { invocations } = await json(['invocation', 'list', id, '--tool', 'session.setup'])
    const logs = await cloister(['invocation', 'logs', invocations[0].id])
    expect(logs.stdout).toContain('the token is [secret:TOKEN], 25 characters')
  })

  it('is taken: exits with 5', async () => {
    expect(await cloister(['session', 'create', '--id', id])).toMatchObject({
      code: 5,
      stdout: '',
      stderr: expect.stringContaining('(conflict)'),
    })
  })

  it('is listed and shown', async () => {
    const list = await cloister(['session', 'list'])
    expect(list.stdout).toMatch(/^ID +STATE +OWNER +LAST ACTIVITY +NAME\n/)
    expect(list.stdout).toMatch(/^cli-session +idle +admin +\S+ \S+ +by CLI$/m)
    expect((await cloister(['session', 'get', id])).stdout).toMatch(/^id +cli-session$/m)
    expect((await json(['session', 'list', '--state', 'closed'])).sessions).toEqual([])
    const wrong = await cloister(['session', 'list', '--limit', '999'])
    expect(wrong.code).toBe(2)
    expect(wrong.stderr.match(/expected number/g)).toHaveLength(1)
  })

  it.each([
    ['session get', []],
    ['tool list', []],
    ['tool invoke', ['fs.list']],
    ['policy check', ['fs.list']],
    ['invocation list', []],
    ['file get', ['hello.txt']],
    ['session events', []],
    ['session token', []],
  ])('%s takes its name', async (command, args) => {
    expect((await cloister([...command.split(' '), 'by CLI', ...args])).code).toBe(0)
    const unknown = await cloister([...command.split(' '), 'nobody', ...args])
    expect(unknown).toMatchObject({ code: 4, stdout: '', stderr: expect.stringContaining('(not_found)') })
  })

  it('options take its name too, and so does an upload', async () => {
    expect((await cloister(['file', 'put', 'by CLI', '-', 'named.txt', '--approved'], { stdin: 'named' })).code).toBe(0)
    expect((await cloister(['policy', 'replay', '--session', 'by CLI'])).code).toBe(0)
    const write = ['tool', 'invoke', 'by CLI', 'fs.write', '{"path": "a", "content": ""}', '--request-approval']
    expect((await cloister(write)).stderr).toContain(`--session ${id}`)
    const { approvals } = await json(['approval', 'list', '--session', 'by CLI'])
    expect(approvals).toMatchObject([{ session_id: id, status: 'pending' }])
    // What waits, and since when, also where there is no room for all of it.
    await printed(atTerminal(['approval', 'list'], 80), new RegExp(`^${approvals[0].id}  pending  fs\\.write  \\S+ \\S+ `, 'm'))
    expect((await cloister(['approval', 'revoke', approvals[0].id])).stdout).toContain(`revoked ${approvals[0].id}`)
    expect(await cloister(['approval', 'list', '--session', 'nobody'])).toMatchObject({
      code: 0,
      stdout: 'nothing waits\n',
      stderr: 'no session of yours is called nobody\n',
    })
  })

  it('an unknown one exits with 4', async () => {
    expect((await cloister(['session', 'get', 'nobody'])).code).toBe(4)
  })

  it('says what shows the answer to the first message', async () => {
    const created = await cloister(['session', 'create', '--id', 'cli-first', '--message', 'look around'])
    expect(created).toMatchObject({ code: 0, stderr: 'the agent answers: cloister session chat cli-first\n' })
  })

  it('has nothing to interrupt while it is idle', async () => {
    expect((await cloister(['session', 'interrupt', id])).stdout).toBe(`${id} is idle: there was nothing to interrupt\n`)
  })

  it('reports a failed setup with 1', async () => {
    writeFileSync(join(work, 'failing.sh'), '#!/bin/bash\necho no such registry >&2\nexit 3\n')
    const result = await cloister(['session', 'create', '--id', 'cli-failing', '--setup', join(work, 'failing.sh'), '--wait'])
    expect(result).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('no such registry') })
  })
})

/** A call that waits for approval, and would change what has been changed since. */
async function overtakenCall(session: string, path: string): Promise<{ id: string; invocation_id: string }> {
  const write = (content: string) => ['tool', 'invoke', session, 'fs.write', JSON.stringify({ path, content }), '--json']
  const { invocation } = JSON.parse((await cloister([...write('too late'), '--request-approval'])).stdout)
  expect((await cloister([...write(`somebody was quicker than ${invocation.id}`), '--approved'])).code).toBe(0)
  return { id: invocation.approval.approval_id, invocation_id: invocation.id }
}

describe('tools', () => {
  const id = 'cli-session'

  it('are listed', async () => {
    expect((await cloister(['tool', 'list', id])).stdout).toMatch(/^fs\.read +low +none +- +Reads/m)
    const { tools } = await json(['tool', 'list', id, '--family', 'git'])
    expect(tools.length).toBeGreaterThan(1)
    for (const tool of tools) expect(tool.name).toMatch(/^git\./)
    expect(tools[0]).toMatchObject({ input_schema: { type: 'object' }, statistics: null })
    const compact = await json(['tool', 'list', id, '--family', 'git', '--compact'])
    expect(compact.tools[0]).not.toHaveProperty('input_schema')
    expect((await cloister(['tool', 'list', id, '--family', 'nothing'])).stdout).toBe('no tools\n')
  })

  it('a success prints the output and exits with 0', async () => {
    const result = await cloister(['tool', 'invoke', id, 'fs.read', '{"path": "hello.txt"}'])
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout).toMatch(/hello[\s\S]*\ninv_\w+ fs\.read succeeded/)
  })

  it('takes args from stdin and from a file', async () => {
    const read = await cloister(['tool', 'invoke', id, 'fs.read', '-', '--json'], { stdin: '{"path": "hello.txt"}' })
    expect(JSON.parse(read.stdout).invocation.output.content).toBe('hello\n')
    writeFileSync(join(work, 'args.json'), '{"path": "hello.txt"}')
    expect((await json(['tool', 'invoke', id, 'fs.read', `@${join(work, 'args.json')}`])).invocation.status).toBe('succeeded')
  })

  it.each([
    ['a tool that ran and failed', ['fs.read', '{"path": "nothing.txt"}'], 1, 'not_found'],
    ['args that do not fit', ['fs.read', '{"path": 5}'], 2, 'invalid_argument'],
    ['policy', ['fs.read', '{"path": "../../etc/passwd"}'], 3, 'policy_denied'],
    ['a missing approval', ['fs.write', '{"path": "a.txt", "content": ""}'], 3, 'approval_required'],
    ['no such tool', ['fs.frobnicate', '{}'], 4, 'not_found'],
  ])('%s', async (_what, [tool = '', args = ''], code, error) => {
    const result = await cloister(['tool', 'invoke', id, tool, args])
    expect(result.code).toBe(code)
    expect(result.stdout + result.stderr).toContain(error)
  })

  it('with --approved it is approved and done', async () => {
    const { invocation } = await json(['tool', 'invoke', id, 'fs.write', '{"path": "a.txt", "content": "hola"}', '--approved'])
    expect(invocation).toMatchObject({ status: 'succeeded', approval: { kind: 'given' } })
    expect((await cloister(['file', 'get', id, 'a.txt'])).stdout).toBe('hola')
  })

  it('with --request-approval it waits, is approved by another command, and runs once', async () => {
    const asked = await cloister([
      'tool',
      'invoke',
      id,
      'fs.write',
      '{"path": "b.txt", "content": "later"}',
      '--request-approval',
      '--json',
    ])
    expect(asked.code).toBe(3)
    const { invocation } = JSON.parse(asked.stdout)
    expect(invocation.status).toBe('pending_approval')
    const { approvals } = await json(['approval', 'list', '--session', id])
    expect(approvals).toMatchObject([{ tool_name: 'fs.write', invocation_id: invocation.id, status: 'pending' }])
    expect(invocation.approval).toEqual({ kind: 'requested', by: null, approval_id: approvals[0].id })
    expect(asked.stderr).toContain(`cloister approval approve ${approvals[0].id}`)
    expect((await cloister(['approval', 'get', approvals[0].id])).stdout).toContain('content: later')
    const approved = await cloister(['approval', 'approve', approvals[0].id, '--reason', 'fine'])
    expect(approved).toMatchObject({ code: 0, stderr: '' })
    expect(approved.stdout).toMatch(
      new RegExp(`^approved ${approvals[0].id}: fs\\.write .*\\n${invocation.id} fs\\.write succeeded, \\d+ ms\\n$`),
    )
    expect((await json(['invocation', 'get', invocation.id])).invocation.status).toBe('succeeded')
    expect((await cloister(['approval', 'approve', approvals[0].id])).code).toBe(5)
  })

  it('an approval that comes too late is not called approved: nothing ran', async () => {
    for (const flags of [[], ['--json']]) {
      const approval = await overtakenCall(id, 'overtaken.txt')
      const result = await cloister(['approval', 'approve', approval.id, ...flags])
      expect(result).toMatchObject({ code: 3, stdout: '' })
      expect(result.stderr).toContain('not run: the approval is stale: what it would change was changed')
      expect(result.stderr).toContain(`cloister invocation get ${approval.invocation_id}`)
      if (flags.length > 0) expect(JSON.parse(result.stderr)).toMatchObject({ error: { code: 'policy_denied' } })
      expect((await cloister(['file', 'get', id, 'overtaken.txt'])).stdout).toMatch(/^somebody was quicker/)
      expect((await json(['approval', 'get', approval.id])).approval.status).toBe('expired')
    }
  })

  it('of an approved call that goes on for long it says how to look at it', async () => {
    const asked = await cloister(['tool', 'invoke', id, 'shell.exec', '{"command": "sleep 3"}', '--request-approval', '--json'])
    const { invocation } = JSON.parse(asked.stdout)
    const approved = await cloister(['approval', 'approve', invocation.approval.approval_id])
    expect(approved).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`runs; how it ends: cloister invocation get ${invocation.id}`),
    })
    await expect
      .poll(async () => (await json(['invocation', 'get', invocation.id])).invocation.status, { timeout: 10_000 })
      .toBe('succeeded')
  })

  it('a denied approval ends the call as denied', async () => {
    await cloister(['tool', 'invoke', id, 'fs.write', '{"path": "c.txt", "content": ""}', '--request-approval'])
    const { approvals } = await json(['approval', 'list', '--session', id])
    expect((await cloister(['approval', 'deny', approvals[0].id, '--reason', 'no'])).code).toBe(0)
    await expect
      .poll(async () => (await json(['invocation', 'get', approvals[0].invocation_id])).invocation.status, { timeout: 15_000 })
      .toBe('denied')
    expect((await cloister(['file', 'get', id, 'c.txt'])).code).toBe(4)
  })

  it('files go up and down as they are', async () => {
    const bytes = Buffer.from([0, 255, 27, 91, 50, 74, 10])
    writeFileSync(join(work, 'up.bin'), bytes)
    expect((await cloister(['file', 'put', id, join(work, 'up.bin'), 'up.bin'])).code).toBe(3)
    expect((await cloister(['file', 'put', id, join(work, 'up.bin'), 'up.bin', '--approved'])).code).toBe(0)
    const file = join(work, 'down.bin')
    expect(await json(['file', 'get', id, 'up.bin', '-o', file])).toEqual({ file, size_bytes: bytes.length })
    expect(readFileSync(file)).toEqual(bytes)
    const nowhere = await cloister(['file', 'get', id, 'up.bin', '-o', join(file, 'x')])
    expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringMatching(/^error: cannot write .*\(usage\)\n$/) })
  })
})

describe('the agent', () => {
  const id = 'cli-session'

  it('is watched while it works', async () => {
    const result = await cloister(['session', 'send', id, 'look around'])
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout).toMatch(/I look\.\n {2}✓ fs\.list .*\nI have looked\.\n/)
  })

  it('as JSON: events and deltas, one a line, and the end', async () => {
    const result = await cloister(['session', 'send', id, 'look around', '--json'])
    const lines = result.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['message.delta', 'invocation.completed', 'turn.completed']),
    )
    expect(lines.at(-1)).toMatchObject({ type: 'turn', status: 'completed' })
  })

  it('--yes approves, visibly', async () => {
    const result = await cloister(['session', 'send', id, 'write a note', '--yes'])
    expect(result.code).toBe(0)
    expect(result.stdout).toMatch(
      /the agent asks to call fs\.write[\s\S]*second line[\s\S]*approved apr_\w+ \(--yes\)[\s\S]*✓ fs\.write[\s\S]*It is written\./,
    )
  })

  it('without a terminal it prints the command that approves, and waits', async () => {
    const { child, done } = start(['session', 'send', id, 'write a note'])
    child.stdin?.end()
    const [, approval = ''] = await printed(child, /cloister approval approve (apr_\w+)/)
    expect((await cloister(['approval', 'approve', approval])).code).toBe(0)
    expect(await done).toMatchObject({ code: 0, stdout: expect.stringContaining('It is written.') })
  })

  it('with --no-wait it exits with 3 instead', async () => {
    const result = await cloister(['session', 'send', id, 'write a note', '--no-wait'])
    expect(result.code).toBe(3)
    const [, approval = ''] = /cloister approval approve (apr_\w+)/.exec(result.stderr) ?? []
    expect((await cloister(['approval', 'deny', approval])).code).toBe(0)
    await expect.poll(async () => (await json(['session', 'get', id])).session.state, { timeout: 15_000 }).toBe('idle')
  })

  it('Ctrl-C interrupts it, and exits with 1', async () => {
    const { child, done } = start(['session', 'send', id, 'take your time'])
    await printed(child, /a very long answer/)
    child.kill('SIGINT')
    const result = await done
    expect(result.code).toBe(1)
    expect(result.stdout).toContain('interrupted')
    expect((await json(['session', 'get', id])).session.state).toBe('idle')
  })

  it('cannot steer the terminal', async () => {
    const result = await cloister(['session', 'send', id, 'misbehave'])
    expect(result.stdout).toContain('before after')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
    expect(result.stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/)
  })

  it('chat takes messages line by line', async () => {
    const result = await cloister(['session', 'chat', id, '--yes'], {
      stdin: '/tools\nlook around\n\n/nonsense\nwrite a note\n/quit\nlook around\n',
    })
    expect(result.code).toBe(0)
    expect(result.stdout).toMatch(/fs\.write +asks/)
    expect(result.stdout.match(/I have looked/g)).toHaveLength(1)
    expect(result.stdout).toContain('It is written.')
    expect(result.stderr).toContain('there is no /nonsense')
    expect((await cloister(['session', 'chat', id, '--json'])).code).toBe(2)
  })

  it('at a terminal chat asks for approvals, and waits for a clear answer', async () => {
    const child = atTerminal(['session', 'chat', id])
    const done = new Promise<number | null>((resolve) => child.once('close', resolve))
    await printed(child, /you> /)
    child.stdin?.write('write a note\r')
    await printed(child, /approve\? y, n, or n and why: /)
    child.stdin?.write('\r')
    await printed(child, /approve\? y, n, or n and why: /)
    const denied = printed(child, /You said no\./)
    child.stdin?.write('n not that file\r')
    await denied
    const { approvals } = await json(['approval', 'list', '--session', id, '--status', 'denied'])
    expect(approvals[0]).toMatchObject({ reason: 'not that file', decided_by: expect.stringContaining('admin') })
    const asked = printed(child, /approve\? y, n, or n and why: /)
    child.stdin?.write('write a note\r')
    await asked
    const written = printed(child, /It is written\./)
    child.stdin?.write('y\r')
    await written
    child.stdin?.write('/quit\r')
    expect(await done).toBe(0)
  })
})

describe('a yes that comes too late', () => {
  const id = 'cli-session'

  it('is told in the conversation', async () => {
    const approval = await overtakenCall(id, 'overtaken.txt')
    const { code, stderr } = await cloister(['session', 'chat', id], { stdin: `/approve ${approval.id}\n` })
    expect(code).toBe(0)
    expect(stderr).toContain('not run: the approval is stale')
    expect(stderr).not.toContain('approved')
  })

  it('is told where the agent asks', async () => {
    const child = atTerminal(['session', 'send', id, 'write a note'])
    await printed(child, /approve\? y, n, or n and why: /)
    await cloister(['tool', 'invoke', id, 'fs.write', '{"path": "note.txt", "content": "another"}', '--approved'])
    const told = printed(child, /not run: the approval is stale[\s\S]*You said no\./)
    child.stdin?.write('y\r')
    await told
    expect((await cloister(['file', 'get', id, 'note.txt'])).stdout).toBe('another')
  })
})

describe('Ctrl-C', () => {
  const id = 'cli-session'
  const state = async (session: string) => (await json(['session', 'get', session])).session.state
  const messages = async () => (await server.request('GET', `/v1/sessions/${id}/messages?limit=200`)).body.messages

  it('while a message waits leaves it, and whatever runs', async () => {
    const first = start(['session', 'send', id, 'take your time'])
    await printed(first.child, /a very long answer/)
    const second = start(['session', 'send', id, 'look around'])
    const before = (await messages()).length
    await expect.poll(async () => (await messages()).length, { timeout: 15_000 }).toBe(before + 1)
    second.child.kill('SIGINT')
    expect(await second.done).toMatchObject({ code: 130, stdout: expect.stringContaining('left: the message stays') })
    expect(first.child.exitCode).toBeNull()
    expect(await state(id)).toBe('busy')
    first.child.kill('SIGINT')
    expect((await first.done).code).toBe(1)
    await expect.poll(async () => (await messages()).at(-1).content, { timeout: 15_000 }).toBe('I have looked.')
  })

  it('a second one leaves, and says that the agent may be at work', async () => {
    const { child, done } = start(['session', 'send', id, 'take your time'])
    await printed(child, /a very long answer/)
    server.process.kill('SIGSTOP')
    try {
      const asked = printed(child, /interrupting/)
      child.kill('SIGINT')
      await asked
      child.kill('SIGINT')
      expect(await done).toMatchObject({ code: 130, stdout: expect.stringContaining(`cloister session chat ${id} comes back`) })
    } finally {
      server.process.kill('SIGCONT')
    }
    await expect.poll(() => state(id), { timeout: 15_000 }).toBe('idle')
  })

  it('at the question for an approval interrupts the agent too', async () => {
    const child = atTerminal(['session', 'send', id, 'write a note'])
    const done = new Promise<number | null>((resolve) => child.once('close', resolve))
    await printed(child, /approve\? y, n, or n and why: /)
    const told = printed(child, /interrupting[\s\S]*interrupted/)
    child.stdin?.write('\u0003')
    await told
    expect(await done).toBe(1)
    await expect.poll(() => state(id), { timeout: 15_000 }).toBe('idle')
    expect((await json(['approval', 'list', '--session', id])).approvals).toEqual([])
  })

  it('while a session is set up leaves it to that, and says so', async () => {
    writeFileSync(join(work, 'slow.sh'), '#!/bin/bash\nsleep 3\n')
    const args = ['session', 'create', '--id', 'cli-left', '--setup', join(work, 'slow.sh'), '--message', 'look around', '--wait']
    const { child, done } = start(args)
    await expect.poll(async () => (await cloister(['session', 'get', 'cli-left'])).code, { timeout: 15_000 }).toBe(0)
    await new Promise((resolve) => setTimeout(resolve, 500))
    child.kill('SIGINT')
    expect(await done).toMatchObject({
      code: 130,
      stdout: '',
      stderr: expect.stringMatching(/^left: cli-left is there and goes on/),
    })
    const answered = async () => (await cloister(['session', 'events', 'cli-left'])).stdout
    await expect.poll(answered, { timeout: 15_000, interval: 500 }).toContain('I have looked.')
  })

  it('before the server has answered says that it is not known', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
    const { child, done } = start(['--url', url, 'session', 'create', '--json'])
    const [socket] = await once(silent, 'connection')
    await once(socket, 'data')
    child.kill('SIGINT')
    const { code, stderr } = await done
    expect(code).toBe(130)
    expect(JSON.parse(stderr).error).toMatchObject({
      code: 'interrupted',
      message: expect.stringContaining('may have been made'),
    })
    silent.close()
  })

  it('leaves a call to itself', async () => {
    const { child, done } = start(['tool', 'invoke', id, 'shell.exec', '{"command": "sleep 4"}', '--approved'])
    const running = async () => (await server.request('GET', `/v1/sessions/${id}/invocations?status=running`)).body.invocations
    await expect.poll(async () => (await running()).length, { timeout: 15_000 }).toBe(1)
    const [{ id: call }] = await running()
    child.kill('SIGINT')
    expect(await done).toMatchObject({ code: 130, stderr: expect.stringContaining('left: the call goes on') })
    const status = async () => (await json(['invocation', 'get', call])).invocation.status
    await expect.poll(status, { timeout: 10_000 }).toBe('succeeded')
  })

  it('ends --follow, and says where to go on', async () => {
    const { child, done } = start(['session', 'events', id, '--follow', '--after', '1'])
    await printed(child, /session\.state_changed|invocation\./)
    child.kill('SIGINT')
    const { code, stdout, stderr } = await done
    expect(code).toBe(130)
    const last = Number(stdout.trimEnd().split('\n').at(-1)?.trim().split(' ')[0])
    expect(stderr).toBe(`left: the session goes on; cloister session events ${id} --follow --after ${last} goes on from here\n`)
  })
})

describe('the record', () => {
  const id = 'cli-session'

  it('events, one a line; the chain is verified', async () => {
    const result = await cloister(['session', 'events', id])
    expect(result.stdout).toMatch(/^ {3}1 {2}\S+ {2}session\.created /)
    const lines = (await cloister(['session', 'events', id, '--json'])).stdout.trimEnd().split('\n')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ seq: 1, type: 'session.created' })
    expect(lines).toHaveLength(result.stdout.trimEnd().split('\n').length)
    expect((await cloister(['session', 'events', id, '--verify'])).stdout).toBe(`the chain of ${lines.length} events is whole\n`)
  })

  it('--follow goes on', async () => {
    const { child, done } = start(['session', 'events', id, '--follow', '--after', '1'])
    await printed(child, /session\.state_changed|invocation\./)
    const seen = printed(child, /fs\.list/)
    await cloister(['tool', 'invoke', id, 'fs.list'])
    await seen
    child.kill('SIGTERM')
    await done
  })
})

describe('people and tokens', () => {
  it('users are made, listed, changed and removed; what is not theirs is not there', async () => {
    const { user } = await cloister(['user', 'create', 'ada', '--password-stdin', '--json'], { stdin: 'password of ada\n' }).then(
      ({ stdout }) => JSON.parse(stdout),
    )
    expect(user).toMatchObject({ name: 'ada', roles: ['user'], active: true })
    expect((await cloister(['user', 'list'])).stdout).toMatch(/^ada +default +user/m)
    const env = { XDG_CONFIG_HOME: join(work, 'ada') }
    expect((await cloister(['login', '--user', 'ada', '--password-stdin'], { stdin: 'password of ada', env })).code).toBe(0)
    expect((await cloister(['session', 'get', 'cli-session'], { env })).code).toBe(4)
    expect((await cloister(['user', 'list'], { env })).code).toBe(3)
    expect((await json(['user', 'update', 'ada', '--inactive'])).user.active).toBe(false)
    expect((await cloister(['whoami'], { env })).code).toBe(6)
    expect((await cloister(['user', 'delete', 'ada'])).code).toBe(0)
    expect((await cloister(['user', 'get', 'ada'])).code).toBe(4)
  })

  it('API tokens work until they are revoked', async () => {
    const created = await cloister(['token', 'create', 'ci'])
    const env = { XDG_CONFIG_HOME: join(work, 'empty'), CLOISTER_TOKEN: created.stdout.trim() }
    expect((await cloister(['whoami'], { env })).code).toBe(0)
    const { tokens } = await json(['token', 'list'])
    const { id } = tokens.find((token: { name: string }) => token.name === 'ci')
    expect((await cloister(['token', 'revoke', id])).code).toBe(0)
    expect((await cloister(['whoami'], { env })).code).toBe(6)
  })

  it("a session's token invokes tools there and cannot approve", async () => {
    const lifetime = async (...args: string[]) =>
      Date.parse((await json(['session', 'token', 'cli-session', ...args])).expires_at) - Date.now()
    expect(await lifetime()).toBeCloseTo(3_600_000, -5)
    expect(await lifetime('--expires-in', '604800')).toBeCloseTo(604_800_000, -5)
    expect((await cloister(['session', 'token', 'cli-session', '--expires-in', '59'])).code).toBe(2)
    expect((await cloister(['session', 'token', 'cli-session', '--expires-in', '604801'])).code).not.toBe(0)
    const minted = await cloister(['session', 'token', 'cli-session'])
    const env = { XDG_CONFIG_HOME: join(work, 'empty'), CLOISTER_TOKEN: minted.stdout.trim() }
    expect((await cloister(['tool', 'invoke', 'cli-session', 'fs.list'], { env })).code).toBe(0)
    expect(
      (await cloister(['tool', 'invoke', 'cli-session', 'fs.write', '{"path": "x", "content": ""}', '--approved'], { env })).code,
    ).toBe(3)
    expect((await cloister(['session', 'list'], { env })).code).toBe(3)
  })
})

describe('the end of a session', () => {
  const id = 'cli-session'

  it('closed, refused, restored, deleted, gone', async () => {
    expect(await cloister(['session', 'close', id])).toMatchObject({ code: 0, stdout: `closed ${id}; its files are kept\n` })
    const refused = await cloister(['tool', 'invoke', id, 'fs.list'])
    expect(refused).toMatchObject({ code: 5, stderr: expect.stringContaining('cloister session restore') })
    expect((await json(['session', 'restore', id, '--wait'])).session.state).toBe('idle')
    expect((await cloister(['file', 'get', id, 'a.txt'])).stdout).toBe('hola')
    const events = `cloister session events ${id} --deleted`
    expect((await cloister(['session', 'delete', id])).stdout).toContain(events)
    expect((await cloister(['session', 'get', id])).code).toBe(4)
    const kept = (await cloister(events.split(' ').slice(1))).stdout
    expect(kept).toMatch(/^ {3}1 {2}\S+ {2}session\.created [\s\S]* session\.deleted /)
    const verdict = await cloister([...events.split(' ').slice(1), '--verify'])
    expect(verdict.stdout).toBe(`the chain of ${kept.trimEnd().split('\n').length} events is whole\n`)
  })
})

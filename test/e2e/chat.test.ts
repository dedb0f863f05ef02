import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { TmuxTerminal } from '../../scripts/docs-chat/tmux-terminal.ts'
import { ServerProcess } from '../support/server-process.ts'

/** `cloister session chat` as a person has it: in a terminal, against a whole server. */

const BIN = fileURLToPath(new URL('../../bin/cloister.mjs', import.meta.url))

const LONG = Array.from({ length: 80 }, (_, i) => `Paragraph ${i + 1} of a very long answer.\n\n`).join('')
const COUNT = 'for i in $(seq 1 40); do echo "line $i of forty"; done; sleep 0.5; printf "no line end"'

const SCRIPT = {
  chunk_delay_ms: 5,
  steps: [
    {
      when: 'format',
      say: '# Title\n\nSome **bold** text and `code`.\n\n- one\n- two\n\n```sh\nls -l\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n',
    },
    { when: 'count', say: 'I count.', call: [{ tool: 'shell.exec', args: { command: COUNT } }] },
    { when: 'count', say: 'I have counted.' },
    {
      when: 'edit',
      say: 'I mend it.',
      call: [{ tool: 'fs.edit', args: { path: 'sum.ts', old_string: 'a - b', new_string: 'a + b' } }],
    },
    { when: 'edit', expect: { status: 'succeeded' }, say: 'It is mended.' },
    { when: 'edit', expect: { status: 'denied' }, say: 'You said no.' },
    { when: 'go on and on', say: LONG },
    { when: 'misbehave', say: 'be\u001b]0;owned\u0007fore \u001b[2J\u001b[H&#27;[2Jafter\u202e\n\n`\u009b2J`\n' },
    { when: 'three\\s+lines', say: 'They came as one message.' },
    { when: 'wait', say: 'I sleep.', call: [{ tool: 'shell.exec', args: { command: 'echo begun; sleep 2; echo done' } }] },
    { when: 'wait', say: 'I have slept.' },
  ],
}

let server: ServerProcess
let work: string
let environment: Record<string, string>
const open: TmuxTerminal[] = []

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'cloister-chat-'))
  const scripts = join(work, 'scripts')
  mkdirSync(scripts)
  writeFileSync(join(scripts, 'chat.json'), JSON.stringify(SCRIPT))
  const env = {
    PORT: String(await freePort()),
    CLOISTER_SCRIPTS: scripts,
    CLOISTER_MODEL: 'scripted/chat',
    CLOISTER_SHELL: '1',
  }
  server = await ServerProcess.start({ env })
  environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: work,
    TERM: 'xterm-256color',
    CLOISTER_URL: server.url,
    CLOISTER_TOKEN: await server.adminToken(),
  }
})

afterEach(() => {
  for (const terminal of open.splice(0)) terminal.destroy()
})

afterAll(async () => {
  await server?.destroy()
  rmSync(work, { recursive: true, force: true })
})

async function session(name: string): Promise<string> {
  const { id } = await server.session({ name, auto_approve: ['shell.exec'] })
  return id
}

/** Runs chat in a terminal. */
function chat(given: string, env: Record<string, string> = {}): TmuxTerminal {
  const command = [process.execPath, BIN, 'session', 'chat', given]
  const terminal = new TmuxTerminal({ command, env: { ...environment, ...env }, columns: 100, rows: 30 })
  open.push(terminal)
  return terminal
}

/** Runs chat in a terminal until it ends. @returns every byte that it printed */
async function bytesOf(given: string, lines: readonly string[], env: Record<string, string>): Promise<string> {
  const child = spawn('script', ['--quiet', '--command', `${process.execPath} ${BIN} session chat ${given}`, '/dev/null'], {
    env: { ...environment, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    // A prompt at the end: it waits for the next line.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: readline puts the cursor behind it
    if (/you> (?:\u001b\[\d+G)?$/.test(chunk)) child.stdin.write(`${lines[at++] ?? '/exit'}\r`)
  })
  let at = 0
  await new Promise((resolve) => child.once('close', resolve))
  return text
}

async function pendingApproval(id: string): Promise<string> {
  const find = async () => (await server.request('GET', `/v1/approvals?session=${id}&status=pending`)).body.approvals[0]?.id
  await expect.poll(find).toBeTruthy()
  return find()
}

describe('what is shown', () => {
  it('Markdown, rendered; and what the turn took', async () => {
    const id = await session('format')
    const terminal = chat(id)
    await terminal.shows(/you>/)
    terminal.type('format this\r')
    const screen = await terminal.shows(/tokens in[\s\S]*you>/)
    expect(screen).toContain('Title\n\nSome bold text and code.\n\n  • one\n  • two\n\n    ls -l\n\na  b\n─  ─\n1  2\n')
    expect(screen).toMatch(/ {2}\d+\.\d s · 0 tokens in, 0 out\n/)
    expect(terminal.screen({ escapes: true })).toContain('Some \u001b[1mbold\u001b')
  })

  it('of what a call writes the first and the last lines, and all of it when asked', async () => {
    const terminal = chat(await session('count'))
    await terminal.shows(/you>/)
    terminal.type('count to forty\r')
    // It appears while the command still runs.
    await terminal.shows(/▸ shell\.exec .*\n {4}│ line 1 of forty\n {4}│ line 2 of forty\n {4}│ line 3 of forty\n(?!.*✓)/)
    const screen = await terminal.shows(/I have counted\./)
    expect(screen).toMatch(
      / {4}│ line 3 of forty\n {4}│ … 36 more lines: \/show 1\n {4}│ line 40 of forty\n {4}│ no line end\n {2}✓ shell\.exec .*\[1\]\n/,
    )
    expect(screen).not.toContain('line 20 of forty')
    terminal.type('/show 1\r')
    await terminal.shows(/line 20 of forty\n/)
  })

  it('hostile text as text', async () => {
    const terminal = chat(await session('hostile'))
    await terminal.shows(/you>/)
    terminal.type('misbehave\r')
    const screen = await terminal.shows(/after/)
    expect(screen).toContain('you> misbehave')
    expect(screen).toContain('before after')
  })

  it('nothing but lines on a dumb terminal', async () => {
    await session('dumb')
    const bytes = await bytesOf('dumb', ['format this', 'count to forty'], { TERM: 'dumb' })
    expect(bytes).toContain('Some bold text and code.')
    expect(bytes).toContain('36 more lines')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there are none is the point
    expect(bytes).not.toMatch(/[\u001b\b]/)
  })

  it('no colours with NO_COLOR, and nothing is ever drawn again', async () => {
    await session('plain')
    const bytes = await bytesOf('plain', ['go on and on'], { NO_COLOR: '1' })
    expect(bytes).toContain('Paragraph 80 of')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences of terminals
    const sequences = new Set(bytes.match(/\u001b\[?[0-9;?]*[A-Za-z]/g))
    // A line is erased, never the screen; the cursor goes to a column, never up.
    for (const sequence of sequences) expect(sequence).toMatch(/\[(?:2K|0?J|\d+G|\?2004[hl])$/)
    expect(bytes.length).toBeLessThan(2 * LONG.length)
  })
})

describe('a person', () => {
  it('sees what an edit would change, and decides', async () => {
    const id = await session('edit')
    await server.invoke(id, 'fs.write', { path: 'sum.ts', content: 'export const sum = (a, b) => a - b\n' }, { approved: true })
    const terminal = chat('edit')
    await terminal.shows(/you>/)
    terminal.type('edit it\r')
    const screen = await terminal.shows(/approve\? y, n, or n and why:/)
    expect(screen).toMatch(
      / {6}--- a\/sum\.ts\n {6}\+\+\+ b\/sum\.ts\n {6}@@ -1 \+1 @@\n {6}-export .* => a - b\n {6}\+export .* => a \+ b\n/,
    )
    terminal.type('n it is right\r')
    await terminal.shows(/policy_denied: default\/admin denied it: it is right[\s\S]*You said no\.[\s\S]*you>$/m)
    terminal.type('/diff\r')
    await terminal.shows(/git\.diff failed/)
  })

  it('has questions taken away that were answered elsewhere, and what was typed meanwhile is no answer', async () => {
    const id = await session('elsewhere')
    await server.invoke(id, 'fs.write', { path: 'sum.ts', content: 'a - b\n' }, { approved: true })
    const terminal = chat(id)
    await terminal.shows(/you>/)
    terminal.type('edit it\r')
    await terminal.shows(/approve\?/)
    terminal.type('n but I am not sur')
    const approval = await pendingApproval(id)
    await server.request('POST', `/v1/approvals/${approval}/approve`, { body: { reason: 'looks right' } })
    const screen = await terminal.shows(/It is mended\.[\s\S]*you>$/m)
    expect(screen).toMatch(/approved by default\/admin: looks right\n {2}✓ fs\.edit/)
    expect(screen).not.toContain('not sur')
  })

  it('gives commands while the agent asks and while it works, and a message waits for its turn', async () => {
    const id = await session('commands')
    await server.invoke(id, 'fs.write', { path: 'sum.ts', content: 'a - b\n' }, { approved: true })
    const terminal = chat(id)
    await terminal.shows(/you>/)
    terminal.type('edit it\r')
    await terminal.shows(/approve\?/)
    terminal.type('perhaps\r')
    await terminal.shows(/y approves it, n denies it/)
    terminal.type('/status\r')
    await terminal.shows(/waits for approval: fs\.edit[\s\S]*approve\?/)
    terminal.type('/approve\r')
    await terminal.shows(/It is mended\.[\s\S]*you>$/m)
    terminal.type('wait\r')
    await terminal.shows(/begun/)
    terminal.type('/help\r')
    terminal.type('format this\r')
    const screen = await terminal.shows(/I have slept\.[\s\S]*Some bold[\s\S]*you>$/m)
    expect(screen).toMatch(/A backslash at the end[\s\S]*\(next: format this\)[\s\S]*I have slept\./)
    terminal.type('wait\r')
    await terminal.shows(/begun[\s\S]*begun/)
    terminal.type('/close\r')
    expect(await terminal.end()).toBe(0)
    expect((await server.waitForState(id, () => true)).state).toBe('closed')
  })

  it('interrupts the turn with Ctrl-C and talks on; a second one at the prompt leaves', async () => {
    const terminal = chat(await session('interrupt'))
    await terminal.shows(/you>/)
    terminal.type('go on and on\r')
    await terminal.shows(/Paragraph 2 of/)
    terminal.press('C-c')
    const screen = await terminal.shows(/interrupted by default\/admin[\s\S]*you>$/m)
    expect(screen).not.toContain('Paragraph 80')
    terminal.type('not sent')
    await terminal.shows(/you> not sent/)
    terminal.press('C-c')
    await terminal.shows(/you>$/m)
    terminal.type('format\r')
    await terminal.shows(/Some bold[\s\S]*you>$/m)
    terminal.press('C-c')
    await terminal.shows(/Ctrl-C again/)
    terminal.press('C-c')
    expect(await terminal.end()).toBe(130)
  })

  it('pastes lines, recalls what was typed in another conversation, and completes commands', async () => {
    const id = await session('typing')
    const first = chat(id)
    await first.shows(/you>/)
    first.paste('these are\nthree\nlines\u0003')
    await first.shows(/you> these are⏎three⏎lines/)
    first.press('Enter')
    await first.shows(/They came as one message\.[\s\S]*you>$/m)
    first.type(' format this secret\r')
    await first.shows(/Some bold[\s\S]*you>$/m)
    first.press('C-d')
    expect(await first.end()).toBe(0)
    const { messages } = (await server.request('GET', `/v1/sessions/${id}/messages`)).body
    expect(messages[0].content).toMatch(/^these are\nthree\nlines/)

    const file = join(work, '.local', 'state', 'cloister', 'chat-history')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readFileSync(file, 'utf8')).not.toContain('secret')

    const second = chat(id)
    // The last exchange is there.
    await second.shows(/> format this secret[\s\S]*Some bold[\s\S]*you>$/m)
    second.press('Up')
    await second.shows(/you> these are⏎three⏎lines/)
    second.press('C-c')
    second.type('/cl\t')
    await second.shows(/you> \/close/)
    second.press('Enter')
    expect(await second.end()).toBe(0)
    expect((await server.waitForState(id, () => true)).state).toBe('closed')
  })

  it('answers to questions are not kept', async () => {
    const id = await session('answers')
    await server.invoke(id, 'fs.write', { path: 'sum.ts', content: 'a - b\n' }, { approved: true })
    const terminal = chat(id)
    await terminal.shows(/you>/)
    terminal.type('edit it\r')
    await terminal.shows(/approve\?/)
    terminal.type('n because hunter22\r')
    await terminal.shows(/You said no\.[\s\S]*you>$/m)
    expect(readFileSync(join(work, '.local', 'state', 'cloister', 'chat-history'), 'utf8')).not.toContain('hunter22')
    terminal.press('Up')
    await terminal.shows(/you> edit it$/m)
  })

  it('decides by command what others asked for, and sees the session', async () => {
    const id = await session('commands')
    await server.invoke(id, 'fs.write', { path: 'a.txt', content: 'a' }, { request_approval: true })
    const terminal = chat(id)
    await terminal.shows(/you>/)
    terminal.type('/status\r')
    await terminal.shows(/waits for approval: fs\.write \(apr_/)
    terminal.type('/approve\r')
    await terminal.shows(/approved apr_\w+/)
    terminal.type('/deny\r')
    await terminal.shows(/nothing waits for approval/)
    terminal.type('/tools\r')
    await terminal.shows(/fs\.read/)
    terminal.type('/show 3\r')
    await terminal.shows(/there was no call yet/)
  })
})

describe('a turn that runs already', () => {
  it('is joined: what was recorded before is shown, and it is followed to its end', async () => {
    const id = await session('join')
    await server.request('POST', `/v1/sessions/${id}/messages`, { body: { content: 'wait for it' } })
    await expect
      .poll(async () => (await server.events(id)).some(({ type }) => type === 'invocation.started'), { timeout: 10_000 })
      .toBe(true)
    const terminal = chat(id)
    const screen = await terminal.shows(/I have slept\.[\s\S]*you>$/m)
    expect(screen).toMatch(/> wait for it[\s\S]*✓ shell\.exec[\s\S]*I have slept\./)
  })

  it('is joined where it waits for a person: what the agent said before it asked is shown, and only once', async () => {
    const id = await session('join-asking')
    await server.invoke(id, 'fs.write', { path: 'sum.ts', content: 'a - b\n' }, { approved: true })
    await server.request('POST', `/v1/sessions/${id}/messages`, { body: { content: 'edit it' } })
    await pendingApproval(id)
    const terminal = chat(id)
    const screen = await terminal.shows(/approve\?/)
    expect(screen).toMatch(/> edit it[\s\S]*I mend it\.[\s\S]*the agent asks to call fs\.edit/)
    terminal.type('y\r')
    const end = await terminal.shows(/It is mended\.[\s\S]*you>$/m)
    expect(end.match(/I mend it\./g)).toHaveLength(1)
  })

  it('goes on over the end of the server, and nothing that was recorded is missed', async () => {
    const id = await session('crash')
    const terminal = chat(id)
    await terminal.shows(/you>/)
    terminal.type('wait for it\r')
    await terminal.shows(/│ begun/)
    await server.kill9()
    server = await server.restart()
    const screen = await terminal.shows(/I have slept\.[\s\S]*you>$/m, 40_000)
    expect(screen).toMatch(/I sleep\.[\s\S]*│ begun[\s\S]*✓ shell\.exec[\s\S]*I have slept\./)
    expect(screen.match(/I have slept\./g)).toHaveLength(1)
  })
})

describe('a name', () => {
  it('is taken for an id when one session of yours has it', async () => {
    await server.session({ name: 'two of them' })
    await server.session({ name: 'two of them' })
    const ambiguous = chat('two of them')
    expect(await ambiguous.end()).toBe(2)
    expect(ambiguous.screen()).toMatch(/2 of your sessions have the name "two of them"[\s\S]*give an id: ses_\w+ \(idle\), ses_/)
    const bob = await server.user('bob')
    await server.session({ name: 'of bob' }, bob)
    // An admin may see it, but it is not theirs.
    const other = chat('of bob')
    expect([await other.end(), other.screen()]).toEqual([4, expect.stringContaining('not_found')])
  })
})

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'

/**
 * A turn of forty steps whose server is killed after each event that it writes, and in each call: it ends as one that nobody
 * disturbed, with the same files and the same conversation, and every effect happened once.
 */

const BIN = fileURLToPath(new URL('../../bin/cloister.mjs', import.meta.url))
const CRASH_AT = fileURLToPath(new URL('../support/crash-at.ts', import.meta.url))
const STEPS = 40

let scripts: string
let undisturbed: Awaited<ReturnType<typeof outcome>>
const servers: ServerProcess[] = []

async function start(): Promise<ServerProcess> {
  const server = await ServerProcess.start({ env: { CLOISTER_SCRIPTS: scripts, CLOISTER_SHELL: '1' } })
  servers.push(server)
  return server
}

beforeAll(async () => {
  scripts = mkdtempSync(join(tmpdir(), 'cloister-scripts-'))
  const steps = [...Array(STEPS - 1).keys()].map(scriptStep).concat({ say: 'All done.' })
  writeFileSync(join(scripts, 'forty.json'), JSON.stringify({ steps }))
  const server = await start()
  const id = await prepared(server)
  await server.request('POST', `/v1/sessions/${id}/messages`, { body: { content: 'go' } })
  await finished(server.home, id, server.process)
  undisturbed = await outcome(server, id)
})
afterAll(async () => {
  for (const server of servers) await server.destroy()
  rmSync(scripts, { recursive: true })
})

/** Effects of every kind, each of which would show if it happened twice: lines, commits, a file that is there already. */
function scriptStep(n: number): { say: string; call?: { tool: string; args: Record<string, unknown> }[] } {
  const shell = (command: string) => ({ tool: 'shell.exec', args: { command } })
  const kinds = [
    [{ tool: 'fs.edit', args: { path: 'log.txt', old_string: 'END', new_string: `${n}\nEND` } }],
    [shell(`echo ${n} >> /session/data/effects; sleep 0.05; echo half >> /session/data/effects`)],
    [
      { tool: 'fs.read', args: { path: 'log.txt' } },
      { tool: 'fs.list', args: {} },
      { tool: 'fs.read', args: { path: `missing-${n}` } },
    ],
    [
      { tool: 'fs.write', args: { path: `made/${n}.txt`, content: `${n}\n`, create_parents: true } },
      shell(`echo ${n} >> tracked.txt`),
    ],
    [{ tool: 'git.commit', args: { message: `step ${n}`, all: true } }],
    [{ tool: 'fs.delete', args: { path: `made/${n - 2}.txt` } }],
    [{ tool: 'fs.write', args: { path: '../outside', content: 'no' } }],
  ]
  return { say: `Step ${n}.`, call: kinds[n % kinds.length] as NonNullable<ReturnType<typeof scriptStep>['call']> }
}

async function prepared(server: ServerProcess): Promise<string> {
  const setup = [
    '#!/bin/bash',
    'set -e',
    'git init -q -b main .',
    'git config user.name T; git config user.email t@example.org',
    'printf "END\\n" > log.txt; touch tracked.txt',
    'git add log.txt tracked.txt; git commit -q -m begin',
  ].join('\n')
  const { id, state, state_reason } = await server.session({ model: 'scripted/forty', auto_approve: ['*'], setup })
  expect([state, state_reason]).toEqual(['idle', null])
  return id
}

function query<T>(home: string, sql: string, ...values: string[]): T[] {
  const database = new DatabaseSync(join(home, 'cloister.db'), { readOnly: true, timeout: 10_000 })
  try {
    return database.prepare(sql).all(...values) as T[]
  } finally {
    database.close()
  }
}

const lastSeq = (home: string, id: string) =>
  query<{ seq: number }>(home, 'select event_seq as seq from sessions where id = ?', id)[0]?.seq ?? 0
const isOver = (home: string, id: string) =>
  query(home, "select seq from events where session_id = ? and type in ('turn.completed', 'turn.interrupted')", id).length > 0
const invocationsOf = (home: string, id: string) =>
  [
    ...query<{ id: string }>(home, 'select id from invocations where session_id = ?', id),
    ...query<{ id: string }>(home, 'select id from open_invocations where session_id = ?', id),
  ].map((row) => row.id)

/** Resolves when the turn is over (true), or when the server has died (false). */
async function finished(home: string, id: string, process: ChildProcess): Promise<boolean> {
  const died = once(process, 'exit').then(() => true)
  for (;;) {
    if (process.exitCode !== null || process.signalCode !== null) return isOver(home, id)
    if (isOver(home, id)) return true
    await Promise.race([died, new Promise((resolve) => setTimeout(resolve, 20))])
  }
}

/** Starts the server again and again, each time to be killed where `crash` says, until the turn is over. How often that was. */
async function untilOver(home: string, id: string, crash: () => string): Promise<number> {
  for (let kills = 0; ; kills++) {
    if (isOver(home, id)) return kills
    const child = spawn(process.execPath, ['--import', CRASH_AT, BIN, 'serve'], {
      env: {
        PATH: process.env['PATH'],
        HOME: home,
        PORT: '0',
        CLOISTER_HOME: home,
        CLOISTER_SCRIPTS: scripts,
        CLOISTER_SHELL: '1',
        CLOISTER_TEST_CRASH: crash(),
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const said: Buffer[] = []
    child.stderr?.on('data', (chunk: Buffer) => said.push(chunk))
    const over = await finished(home, id, child)
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    } else if (!over)
      expect([child.signalCode, Buffer.concat(said).toString()]).toEqual(['SIGKILL', expect.stringContaining('crashed at')])
  }
}

/** What a person finds afterwards; names, times and hashes that differ from run to run are left out. */
async function outcome(server: ServerProcess, id: string) {
  const read = async (command: string) => {
    const answer = await server.invoke(id, 'shell.exec', { command })
    expect(answer.body.invocation.status).toBe('succeeded')
    return answer.body.invocation.output.stdout as string
  }
  const messages = (await server.request('GET', `/v1/sessions/${id}/messages`)).body.messages
  const events = await server.events(id)
  const answered = events.flatMap(({ type, data }) => (type === 'turn.answered' ? [`${data['step']}: ${data['text']}`] : []))
  const steps = events.flatMap(({ type, data }) => {
    if (type !== 'turn.step') return []
    const { step, text, calls } = data as { step: number; text: string; calls: Record<string, unknown>[] }
    return [{ step, text, calls: calls.map(({ tool_name, args, result }) => [tool_name, args, plain(JSON.stringify(result))]) }]
  })
  expect((await server.request('GET', `/v1/sessions/${id}/events/verify`)).body).toMatchObject({
    valid: true,
    events: events.length,
  })
  return {
    messages: messages.map(({ role, content }: { role: string; content: string }) => `${role}: ${content}`),
    answered,
    steps,
    effects: await read('cat /session/data/effects'),
    files: await read('find . -path ./.git -prune -o -type f -print | sort | while read f; do echo "$f"; cat "$f"; done'),
    commits: await read('git log --format=%s; git status --short'),
    denied: events.filter(({ type }) => type === 'invocation.denied').length,
  }
}

function plain(text: string): string {
  return text
    .replace(/(inv|art|apr)_[a-z0-9]+/gi, '$1_x')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/"(duration_ms|modified_at)\\*":\d+/g, '"$1":0')
    .replace(/\b[0-9a-f]{7,64}\b/g, 'HASH')
}

it('undisturbed, it does everything once', () => {
  expect(undisturbed.steps).toHaveLength(STEPS)
  // All but the last one asked for calls.
  expect(undisturbed.answered).toEqual(undisturbed.steps.slice(0, -1).map(({ step, text }) => `${step}: ${text}`))
  expect(undisturbed.messages.at(-1)).toBe('agent: All done.')
  const numbers = [...Array(STEPS - 1).keys()]
  expect(undisturbed.effects).toBe(
    numbers
      .filter((n) => n % 7 === 1)
      .map((n) => `${n}\nhalf\n`)
      .join(''),
  )
  expect(undisturbed.commits.split('\n').filter((line) => line.startsWith('step'))).toHaveLength(
    numbers.filter((n) => n % 7 === 4).length,
  )
  expect(undisturbed.denied).toBe(numbers.filter((n) => n % 7 === 6).length)
})

it('undisturbed, it records what each call said: what the others are compared with is no empty page', () => {
  for (const { step, calls } of undisturbed.steps) {
    for (const [tool, , result] of calls)
      expect([tool, result]).toEqual([tool, expect.stringMatching(/"text":"{\\"status\\":\\"/)])
    if (step % 7 !== 3 || step === STEPS) continue
    const [read, list, missing] = calls.map(([, , result]) => result)
    expect(read).toMatch(/\\"content\\":\\".*END/)
    expect(list).toContain('tracked.txt')
    expect(missing).toContain(`missing-${step - 1}`)
  }
})

/** A turn whose server dies at once, and then wherever `crash` says: what it came to, and how often it died. */
async function disturbed(crash: (home: string, id: string) => string) {
  const first = await start()
  const id = await prepared(first)
  const begin = lastSeq(first.home, id)
  await first.request('POST', `/v1/sessions/${id}/messages`, { body: { content: 'go' } })
  await first.kill9()
  const kills = await untilOver(first.home, id, () => crash(first.home, id))
  const last = await first.restart()
  servers.splice(servers.indexOf(first), 1, last)
  return { kills, events: lastSeq(first.home, id) - begin, outcome: await outcome(last, id) }
}

/** Two turns, side by side: one dies after every even event, the other after every odd one. Together, after each. */
it.concurrent.each([0, 1])(
  'killed after each event whose number is %i modulo 2, it ends the same',
  { timeout: 900_000 },
  async (rest) => {
    const found = await disturbed((home, id) => {
      const next = lastSeq(home, id) + 1
      return `event:${id}:${next % 2 === rest ? next : next + 1}`
    })
    console.log(`killed ${found.kills} times in a turn of ${STEPS} steps and ${found.events} events`)
    expect(found.outcome).toEqual(undisturbed)
    expect(found.kills).toBeGreaterThan(STEPS * 2)
  },
)

it.concurrent('killed in each call, it ends the same', { timeout: 900_000 }, async () => {
  const found = await disturbed((home, id) => `effect:${invocationsOf(home, id).join(',')}`)
  console.log(`killed in ${found.kills} calls`)
  expect(found.outcome).toEqual(undisturbed)
  expect(found.kills).toBeGreaterThan(20)
})

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'

/** `kill -9` of the server at work: nothing acknowledged is lost, nothing is done twice, what is not known is called so. */

let server: ServerProcess
let scripts: string
beforeEach(() => {
  scripts = mkdtempSync(join(tmpdir(), 'cloister-scripts-'))
})
afterEach(async () => {
  await server.destroy()
  rmSync(scripts, { recursive: true })
})

/** `npm test` writes a line, waits, and writes another: what runs twice, or stops half way, is seen. */
const SLOW_TESTS = [
  '#!/bin/bash',
  `echo '{"name":"x","scripts":{"test":"echo begin >> /session/data/effects; echo begun; sleep 4; echo end >> /session/data/effects; echo ended"}}' > package.json`,
].join('\n')

const until = async (what: string, condition: () => Promise<boolean>, timeoutMs = 30_000) => {
  const deadline = Date.now() + timeoutMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const effects = (id: string) => readFileSync(join(server.home, 'volumes', id, 'volume/data/effects'), 'utf8')
const running = async (id: string) => {
  const answer = await server.request('GET', `/v1/sessions/${id}/invocations?status=running&tool=repo.run_tests`)
  return answer.body.invocations as { id: string }[]
}
const invocation = async (id: string) => (await server.request('GET', `/v1/invocations/${id}`)).body.invocation

async function beginSlowCall(id: string): Promise<string> {
  // The connection dies with the server: that is the point.
  server.invoke(id, 'repo.run_tests', {}, { correlation_id: 'the-slow-call' }).catch(() => undefined)
  await until('the call', async () => (await running(id)).length === 1)
  await until('its first effect', async () => {
    try {
      return effects(id) === 'begin\n'
    } catch {
      return false
    }
  })
  return (await running(id))[0]?.id as string
}

it('the sandbox outlives the server, and the real outcome of the running call is recorded', async () => {
  server = await ServerProcess.start()
  const { id } = await server.session({ setup: SLOW_TESTS })
  await server.invoke(id, 'fs.write', { path: 'kept.txt', content: 'acknowledged' }, { approved: true })
  const before = await server.events(id)
  const call = await beginSlowCall(id)
  await server.kill9()
  server = await server.restart()
  await until('the outcome', async () => (await invocation(call)).status !== 'running')
  expect(await invocation(call)).toMatchObject({
    status: 'succeeded',
    exit_code: 0,
    output: { output: expect.stringMatching(/begun[\s\S]*ended/) },
  })
  expect(effects(id)).toBe('begin\nend\n')

  const after = await server.events(id)
  expect(after.slice(0, before.length)).toEqual(before)
  expect(after.filter((event) => event.type === 'sandbox.started')).toHaveLength(1)
  expect((await server.request('GET', `/v1/sessions/${id}/events/verify`)).body).toMatchObject({
    valid: true,
    events: after.length,
  })
  expect((await server.invoke(id, 'fs.read', { path: 'kept.txt' })).body.invocation.output.content).toBe('acknowledged')
  // The same request again is answered with the same record.
  const again = await server.invoke(id, 'repo.run_tests', {}, { correlation_id: 'the-slow-call' })
  expect(again.body.invocation.id).toBe(call)
  expect(effects(id)).toBe('begin\nend\n')
  const logs = await server.request('GET', `/v1/invocations/${call}/logs`)
  expect(logs.text).toContain('ended')
  const artifacts = (await server.request('GET', `/v1/invocations/${call}/artifacts`)).body.artifacts
  expect(artifacts).toHaveLength(1)
  expect((await server.request('GET', `/v1/invocations/${call}/artifacts/${artifacts[0].id}`)).text).toContain('ended')
})

it('when the sandbox is gone too, the outcome is unknown and says so', async () => {
  server = await ServerProcess.start()
  const { id } = await server.session({ setup: SLOW_TESTS })
  const call = await beginSlowCall(id)
  await server.kill9()
  killSandbox(id)
  server = await server.restart()
  await until('the outcome', async () => (await invocation(call)).status !== 'running')
  expect(await invocation(call)).toMatchObject({ status: 'failed', error: { code: 'unknown_outcome' } })
  expect(effects(id)).toBe('begin\n')
  const types = (await server.events(id)).map((event) => event.type)
  expect(types).toContain('sandbox.lost')
  expect((await server.request('GET', `/v1/sessions/${id}/events/verify`)).body.valid).toBe(true)
  // The session goes on in a new sandbox.
  expect((await server.invoke(id, 'fs.list', {})).body.invocation.status).toBe('succeeded')
})

it('a call that waits for its approval outlives the server: approved after the restart it runs once, denied or changed it never does', async () => {
  server = await ServerProcess.start({ env: { CLOISTER_SHELL: '1' } })
  const { id } = await server.session()
  const ask = async (tool: string, args: Record<string, unknown>) => {
    const { status, body } = await server.invoke(id, tool, args, { request_approval: true })
    expect([status, body.invocation.status]).toEqual([202, 'pending_approval'])
    return { call: body.invocation.id as string, approval: body.invocation.approval.approval_id as string }
  }
  const append = (line: string) => ({ command: `echo ${line} >> /session/data/effects` })
  const yes = await ask('shell.exec', append('approved'))
  const no = await ask('shell.exec', append('denied'))
  const stale = await ask('fs.write', { path: 'a.txt', content: 'from the call' })
  await server.kill9()
  server = await server.restart()
  expect((await invocation(yes.call)).status).toBe('pending_approval')
  await server.invoke(id, 'fs.write', { path: 'a.txt', content: 'from somebody else' }, { approved: true })
  const decide = (approval: string, how: string) => server.request('POST', `/v1/approvals/${approval}/${how}`, { body: {} })
  expect((await decide(yes.approval, 'approve')).body.approval.status).toMatch(/approved|used/)
  expect((await decide(no.approval, 'deny')).status).toBe(200)
  expect((await decide(stale.approval, 'approve')).status).toBe(200)
  for (const { call } of [yes, no, stale])
    await until('the end', async () => !/running|pending/.test((await invocation(call)).status))
  expect(await invocation(yes.call)).toMatchObject({ status: 'succeeded', approval: { kind: 'requested', by: 'default/admin' } })
  expect(await invocation(no.call)).toMatchObject({ status: 'denied' })
  expect(await invocation(stale.call)).toMatchObject({ status: 'denied', error: { details: { rule: 'approval_stale' } } })
  // Used up: neither a second yes nor a second server runs it again.
  expect((await decide(yes.approval, 'approve')).status).toBe(409)
  await server.kill9()
  server = await server.restart()
  expect(effects(id)).toBe('approved\n')
  expect(readFileSync(join(server.home, 'volumes', id, 'volume/code/a.txt'), 'utf8')).toBe('from somebody else')
})

it('killed between any two steps of a turn, the turn ends as if undisturbed, each effect once', async () => {
  const append = (text: string) => ({ tool: 'fs.edit', args: { path: 'log.txt', old_string: 'END', new_string: `${text}\nEND` } })
  mkdirSync(scripts, { recursive: true })
  writeFileSync(
    join(scripts, 'steps.json'),
    JSON.stringify({
      steps: [
        { say: 'one', call: [append('one')] },
        { say: 'two', call: [append('two'), append('three')] },
        { say: 'four', call: [append('four')] },
        { say: 'all done' },
      ],
    }),
  )
  server = await ServerProcess.start({ env: { CLOISTER_SCRIPTS: scripts } })
  const run = async (kills: number) => {
    const { id } = await server.session({ model: 'scripted/steps', auto_approve: ['fs.edit', 'fs.write'] })
    await server.invoke(id, 'fs.write', { path: 'log.txt', content: 'END\n' })
    const first = (await server.events(id)).length
    await server.request('POST', `/v1/sessions/${id}/messages`, { body: { content: 'go' } })
    for (let kill = 1; kill <= kills; kill++) {
      await until('more events', async () => (await server.events(id)).length >= first + kill * 4 || (await idle(id)))
      const acknowledged = await server.events(id)
      await server.kill9()
      server = await server.restart()
      expect((await server.events(id)).slice(0, acknowledged.length)).toEqual(acknowledged)
    }
    await until('the end of the turn', () => idle(id))
    const messages = (await server.request('GET', `/v1/sessions/${id}/messages`)).body.messages
    expect((await server.request('GET', `/v1/sessions/${id}/events/verify`)).body.valid).toBe(true)
    const log = (await server.invoke(id, 'fs.read', { path: 'log.txt' })).body.invocation.output.content
    return { log, messages: messages.map((message: { role: string; content: string }) => [message.role, message.content]) }
  }
  const idle = async (id: string) =>
    (await server.request('GET', `/v1/sessions/${id}`)).body.session.state === 'idle' &&
    (await server.events(id)).some((event) => event.type === 'turn.completed')

  const undisturbed = await run(0)
  expect(undisturbed.log).toBe('one\ntwo\nthree\nfour\nEND\n')
  const disturbed = await run(4)
  expect(disturbed).toEqual(undisturbed)
})

it('a graceful stop leaves sessions and their sandboxes as they are', async () => {
  server = await ServerProcess.start()
  const { id } = await server.session({ setup: SLOW_TESTS })
  const call = await beginSlowCall(id)
  await server.stop()
  expect(server.process.exitCode).toBe(0)
  server = await server.restart()
  await until('the outcome', async () => (await invocation(call)).status !== 'running')
  expect((await invocation(call)).status).toBe('succeeded')
  expect(effects(id)).toBe('begin\nend\n')
  expect((await server.events(id)).filter((event) => event.type === 'sandbox.started')).toHaveLength(1)
})

it('an edit of instructions.md between two messages reaches the second model call', async () => {
  server = await ServerProcess.start()
  const { id } = await server.session({ instructions: 'Speak of roses.', auto_approve: ['fs.write'] })
  const ask = async (content: string) => {
    await server.request('POST', `/v1/sessions/${id}/messages`, { body: { content } })
    await until('the answer', async () => (await server.events(id)).filter((event) => event.type === 'turn.completed').length > 0)
    await server.waitForState(id, (state) => state === 'idle')
  }
  await ask('hello')
  await server.invoke(id, 'fs.write', { path: 'instructions.md', content: 'Speak of thorns.' })
  await server.request('POST', `/v1/sessions/${id}/messages`, { body: { content: 'hello again' } })
  await until(
    'the second answer',
    async () => (await server.events(id)).filter((event) => event.type === 'turn.completed').length === 2,
  )
  const calls = (await server.events(id)).filter((event) => event.type === 'model.called')
  expect(JSON.stringify(calls.at(0)?.data)).toContain('Speak of roses.')
  expect(JSON.stringify(calls.at(-1)?.data)).toContain('Speak of thorns.')
  expect(JSON.stringify(calls.at(-1)?.data)).not.toContain('Speak of roses.')
})

it('a second server on the same home is refused with a reason', async () => {
  server = await ServerProcess.start()
  await expect(server.restart()).rejects.toThrow(/another Cloister server uses/)
})

/** Kills the sandbox by what its record says, as the machine would when memory runs out. */
function killSandbox(id: string): void {
  const database = new DatabaseSync(join(server.home, 'cloister.db'), { readOnly: true })
  const row = database.prepare('SELECT sandbox FROM sessions WHERE id = ?').get(id) as { sandbox: string }
  database.close()
  const detail = (JSON.parse(row.sandbox) as { detail: Record<string, unknown> }).detail
  const pids = Object.entries(detail).filter(([name, value]) => /(^|_)pid$/.test(name) && typeof value === 'number')
  expect(pids.length).toBeGreaterThan(0)
  for (const [, pid] of pids) {
    try {
      process.kill(pid as number, 'SIGKILL')
    } catch (error) {
      // The first kill may have taken the others along.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Answer, ServerProcess } from '../support/server-process.ts'

/** What a session may use, asked of the whole server: how often, how many at once, how much it leaves, and one call for one id. */

let server: ServerProcess
afterEach(() => server?.destroy())

async function denied(answer: Answer, wait: { most: number }): Promise<void> {
  expect([answer.status, answer.body.error.code]).toEqual([429, 'rate_limited'])
  const seconds = Number(answer.headers.get('retry-after'))
  expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= wait.most).toBe(true)
  expect(answer.body.invocation).toMatchObject({
    status: 'denied',
    decision: null,
    error: { code: 'rate_limited', retryable: true },
  })
  const record = await server.request('GET', `/v1/invocations/${answer.body.invocation.id}`)
  expect(record.body.invocation).toEqual(answer.body.invocation)
}

describe('how often', () => {
  it('a session and a principal may call: decided before, with when to come back', async () => {
    server = await ServerProcess.start({
      env: { WORKSPACE_RATE_LIMIT_PER_MINUTE: '3', WORKSPACE_RATE_LIMIT_PER_MINUTE_PER_PRINCIPAL: '5' },
    })
    const [alice, bob] = [await server.user('alice'), await server.user('bob')]
    const [first, second, other] = [
      await server.session({}, alice),
      await server.session({}, alice),
      await server.session({}, bob),
    ]
    const call = (id: string, token: string) => server.invoke(id, 'fs.stat', { path: '.' }, {}, token)
    for (let n = 0; n < 3; n++) expect((await call(first.id, alice)).status).toBe(200)
    const overSession = await call(first.id, alice)
    await denied(overSession, { most: 60 })
    expect(overSession.body.error.message).toContain('3 calls a minute are allowed for this session')
    for (let n = 0; n < 2; n++) expect((await call(second.id, alice)).status).toBe(200)
    const overPrincipal = await call(second.id, alice)
    await denied(overPrincipal, { most: 60 })
    expect(overPrincipal.body.error.message).toContain('5 calls a minute are allowed for default/alice')
    expect((await call(other.id, bob)).status).toBe(200)
  })
})

describe('how many at once, and how much', () => {
  it('calls of a session run, and artifacts it may leave', async () => {
    server = await ServerProcess.start({
      env: {
        CLOISTER_SHELL: '1',
        WORKSPACE_MAX_CONCURRENCY_PER_SESSION: '1',
        WORKSPACE_MAX_ARTIFACT_BYTES: '1000',
        WORKSPACE_MAX_ARTIFACT_BYTES_PER_SESSION: '1500',
      },
    })
    const { id } = await server.session()
    const approved = { approved: true }
    const running = server.invoke(id, 'shell.exec', { command: 'while [ ! -e go ]; do sleep 0.05; done' }, approved)
    await vi.waitFor(async () => {
      const { invocations } = (await server.request('GET', `/v1/sessions/${id}/invocations?status=running`)).body
      expect(invocations).toHaveLength(1)
    })
    await denied(await server.invoke(id, 'fs.list', {}), { most: 1 })
    const [open] = (await server.request('GET', `/v1/sessions/${id}/invocations?status=running`)).body.invocations
    expect((await server.request('POST', `/v1/invocations/${open.id}/cancel`, { body: {} })).body.invocation.error.code).toBe(
      'cancelled',
    )
    await running

    await server.invoke(id, 'shell.exec', { command: 'head -c 1001 /dev/zero > large; head -c 900 /dev/zero > small' }, approved)
    const upload = async (path: string) => (await server.invoke(id, 'artifact.upload', { path })).body.invocation
    expect(await upload('large')).toMatchObject({ status: 'failed', error: { code: 'output_too_large' }, artifacts: [] })
    expect(await upload('small')).toMatchObject({ status: 'succeeded', artifacts: [{ size_bytes: 900 }] })
    const full = await upload('small')
    expect(full).toMatchObject({ status: 'failed', error: { code: 'output_too_large' }, artifacts: [] })
    expect(full.error.message).toContain('1500')
  })
})

it('fifty callers with one correlation id at once: one run, one record; with other arguments: a conflict', async () => {
  server = await ServerProcess.start({ env: { CLOISTER_SHELL: '1' } })
  const { id } = await server.session()
  const call = (command: string) => server.invoke(id, 'shell.exec', { command }, { approved: true, correlation_id: 'the-same' })
  const answers = await Promise.all(Array.from({ length: 50 }, () => call('echo ran >> runs.txt; sleep 0.2')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(new Set(answers.map(({ body }) => JSON.stringify(body.invocation))).size).toBe(1)
  expect(readFileSync(join(server.home, 'volumes', id, 'volume/code/runs.txt'), 'utf8')).toBe('ran\n')
  const other = await call('echo other >> runs.txt')
  expect([other.status, other.body.error.code]).toEqual([409, 'conflict'])
  expect((await server.request('GET', `/v1/sessions/${id}/invocations`)).body.invocations).toHaveLength(1)
})

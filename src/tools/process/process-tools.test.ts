import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SECRET, ToolWorkspace } from '../../../test/support/tool-workspace.ts'
import type { Tool } from '../../catalog/define-tool.ts'
import { newId } from '../../domain/ids.ts'
import shell from '../shell/exec.ts'
import list from './list.ts'
import output from './output.ts'
import stop from './stop.ts'

let workspace: ToolWorkspace
beforeAll(async () => {
  workspace = await ToolWorkspace.start()
})
afterAll(async () => await workspace?.stop())

const call = async (tool: Tool, args: object = {}, options = {}) =>
  (await workspace.call(tool, { ...args }, options)).output as Record<string, never>

const background = async (command: string, options = {}) =>
  String((await call(shell, { command, background: true }, options))['process_id'])

/** Asks until the answer is as wanted. */
async function until(ask: () => Promise<Record<string, unknown>>, wanted: (answer: Record<string, unknown>) => boolean) {
  for (let tries = 0; ; tries++) {
    const answer = await ask()
    if (wanted(answer)) return answer
    if (tries > 300) throw new Error(`it stays ${JSON.stringify(answer)}`)
    await delay(20)
  }
}

const processes = async () => (await call(list))['processes'] as unknown as Record<string, unknown>[]
const info = async (id: string) => (await processes()).find(({ process_id }) => process_id === id)

describe('background processes', () => {
  it('are started, listed, read and stopped', async () => {
    const id = await background('echo up; echo "$API_TOKEN" | md5sum; sleep 60; echo never')
    expect(await info(id)).toMatchObject({
      state: 'running',
      exit_code: null,
      command: expect.stringContaining('bash -lc echo up'),
    })
    const read = await until(
      () => call(output, { process_id: id }),
      ({ text }) => String(text).split('\n').length > 2,
    )
    expect(read).toMatchObject({ state: 'running', dropped_bytes: 0, text: expect.stringMatching(/^up\n[0-9a-f]{32} {2}-\n$/) })
    expect(await call(output, { process_id: id, after: read['next'] })).toMatchObject({ text: '', next: read['next'] })
    expect(await call(stop, { process_id: id })).toEqual({ stopped: true })
    expect(await info(id)).toMatchObject({ state: 'exited' })
    expect(await call(stop, { process_id: id })).toEqual({ stopped: true })
    expect(await call(output, { process_id: id })).toMatchObject({ text: read['text'], state: 'exited' })
  })

  it('may ignore TERM, but not KILL', async () => {
    const id = await background('trap "" TERM; echo ready; while :; do sleep 0.1; done')
    await until(
      () => call(output, { process_id: id }),
      ({ text }) => text === 'ready\n',
    )
    expect(await call(stop, { process_id: id })).toEqual({ stopped: false })
    expect(await call(stop, { process_id: id, signal: 'KILL' })).toEqual({ stopped: true })
  })

  it('are started once by a call that is run again', async () => {
    const invocation_id = newId('inv')
    const first = await background('sleep 60', { invocation_id })
    const before = (await processes()).length
    expect(await background('sleep 60', { invocation_id })).toBe(first)
    expect(await processes()).toHaveLength(before)
    expect(await background('sleep 60')).not.toBe(first)
  })

  it('show no part of a line, so that a secret is not cut out of sight of redaction', async () => {
    const id = await background(`echo one; printf '%s' "${SECRET.value}"; sleep 0.3; echo; echo end`)
    const half = await until(
      () => call(output, { process_id: id }),
      ({ text }) => String(text) !== '',
    )
    if (half['state'] === 'running' && !String(half['text']).includes('end')) expect(half['text']).toMatch(/^one\n(.*\n)?$/)
    await until(
      () => call(output, { process_id: id }),
      ({ state }) => state === 'exited',
    )
    // Wherever the caller begins, within the line of the secret nothing of it is shown.
    for (let after = 5; after < 5 + SECRET.value.length; after += 3)
      expect(await call(output, { process_id: id, after }), String(after)).toMatchObject({ text: 'end\n' })
    expect(await call(output, { process_id: id, after: 4 })).toMatchObject({ text: `${SECRET.value}\nend\n` })
  })

  it.each([
    [output, { process_id: 'p999' }],
    [stop, { process_id: 'p999' }],
  ])('are not found when there are none', async (tool, args) => {
    expect(await workspace.failure(tool, args)).toMatchObject({ code: 'not_found', message: expect.stringContaining('p999') })
  })

  it.each<[Tool, object]>([
    [output, {}],
    [output, { process_id: 7 }],
    [output, { process_id: '../x' }],
    [output, { process_id: 'p1&after=0' }],
    [output, { process_id: 'p1', after: -1 }],
    [output, { process_id: 'p1', after: 1.5 }],
    [stop, { process_id: 'p1', signal: 'STOP' }],
    [stop, { process_id: 'p1', signal: 9 }],
    [list, { all: true }],
  ])('do not accept what is nothing: %#', (tool, args) => {
    expect(tool.input.safeParse(args).success).toBe(false)
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { alice, FIRST_PAGE, Gate, SECRET } from '../../../test/support/gate.ts'
import { ToolError } from '../../domain/errors.ts'
import { SandboxLost } from '../../sandbox/sandbox-errors.ts'

let gate: Gate
beforeAll(async () => {
  gate = await Gate.open()
})
afterAll(async () => await gate?.close())

describe('a step of the system', () => {
  it('is a recorded invocation with a redacted log, also while the session initializes', async () => {
    const session = await gate.session({ state: 'initializing' })
    const deltas = gate.deltas(session)
    const record = await gate.invocations.recordSystem(session, 'session.setup', async ({ output }) => {
      output('stdout', Buffer.from(`token=${SECRET.slice(0, 5)}`))
      output('stdout', Buffer.from(`${SECRET.slice(5)}\nhal`))
      output('stderr', Buffer.from('warning\n'))
      output('stdout', Buffer.from('f a line'))
      return { exit_code: 0, output: { note: SECRET } }
    })
    expect(record).toMatchObject({
      tool_name: 'session.setup',
      status: 'succeeded',
      exit_code: 0,
      actor: { kind: 'system' },
      output: { note: '[secret:TOKEN]' },
    })
    expect(
      (await gate.invocations.logs(alice, record.id, FIRST_PAGE)).items.map(({ channel, message }) => `${channel} ${message}`),
    ).toEqual(['stdout token=[secret:TOKEN]', 'stderr warning', 'stdout half a line'])
    expect(deltas.map(({ data }) => data['text']).join('')).not.toContain(SECRET)
    expect((await gate.events(session)).map(({ type }) => type)).toEqual(['invocation.started', 'invocation.completed'])
    expect((await gate.store.sessions.get(session.id))?.usage.invocations).toBe(0)
  })

  it('whose output was cut off shows no beginning of a secret at its end', async () => {
    const session = await gate.session({ state: 'initializing' })
    const deltas = gate.deltas(session)
    const record = await gate.invocations.recordSystem(session, 'session.setup', async ({ output, outputCut }) => {
      output('stdout', Buffer.from(`a line\ntoken=${SECRET.slice(0, 5)}`))
      outputCut()
      return { exit_code: 0, output: {} }
    })
    const { items } = await gate.invocations.logs(alice, record.id, FIRST_PAGE)
    expect(items.map(({ message }) => message)).toEqual(['a line', 'token='])
    expect(deltas.map(({ data }) => data['text']).join('')).toBe('a line\ntoken=')
  })

  it.each([
    { how: 'exits with something else', run: async () => ({ exit_code: 3, output: {} }), code: 'execution_failed' },
    { how: 'fails', run: () => Promise.reject(new ToolError('timeout', 'too long')), code: 'timeout' },
    { how: 'loses its sandbox', run: () => Promise.reject(new SandboxLost('gone')), code: 'sandbox_lost' },
    { how: 'has a fault', run: () => Promise.reject(new TypeError('boom')), code: 'internal' },
  ])('that $how answers with a failed record', async ({ run, code }) => {
    const session = await gate.session({ state: 'initializing' })
    const record = await gate.invocations.recordSystem(session, 'session.clone', run)
    expect(record).toMatchObject({ status: 'failed', error: { code } })
    expect(await gate.store.openInvocations.ofSession(session.id)).toEqual([])
  })

  it('ends with its session', async () => {
    const session = await gate.session({ state: 'initializing' })
    const step = gate.invocations.recordSystem(session, 'session.setup', () => new Promise(() => undefined))
    for (;;) {
      if ((await gate.store.openInvocations.ofSession(session.id)).length > 0) break
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await gate.invocations.abandonSession(session.id, 'deleted')
    expect(await step).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
  })
})

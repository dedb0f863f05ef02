import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'

/** The whole server as an ordinary user, which most who try it are. Root starts it as one; an ordinary user's test run is one. */

const UID = 65_532

let server: ServerProcess
beforeAll(async () => {
  server = await ServerProcess.start(process.getuid?.() === 0 ? { uid: UID } : {})
})
afterAll(() => server.destroy())

it('sets up, works, closes and restores a session, and attests what it could not do', async () => {
  const made = await server.session({
    secrets: { API_TOKEN: 'ordinary-secret-value' },
    setup:
      '#!/bin/sh\nid -u > who\nprintf %s "$API_TOKEN" | wc -c > length\ncat /etc/shadow > /dev/null 2>&1 && echo yes > read-shadow\ntrue',
  })
  expect([made.state, made.state_reason]).toEqual(['idle', null])
  const { id } = made
  const { isolation } = (await server.request('GET', `/v1/sessions/${id}`)).body.session.sandbox
  expect(isolation).toMatchObject({ level: 'namespaces', network: 'none', seccomp: true, no_new_privileges: true, uid: 'shared' })

  const read = async (path: string) => (await server.invoke(id, 'fs.read', { path })).body.invocation?.output?.content
  expect(await read('length')).toBe('21\n')
  expect((await server.invoke(id, 'fs.read', { path: 'read-shadow' })).body.invocation.error.code).toBe('not_found')
  await server.invoke(id, 'fs.write', { path: 'kept', content: 'kept' }, { approved: true })
  expect((await server.request('POST', `/v1/sessions/${id}/close`)).body.session.sandbox).toBeNull()
  await server.request('POST', `/v1/sessions/${id}/restore`)
  await server.waitForState(id, (state) => state === 'idle')
  expect(await read('kept')).toBe('kept')
})

it('finds its sandboxes again after kill -9', async () => {
  const { id } = await server.session()
  await server.invoke(id, 'fs.write', { path: 'before', content: 'x' }, { approved: true })
  await server.kill9()
  server = await server.restart()
  expect((await server.invoke(id, 'fs.read', { path: 'before' })).body.invocation.output.content).toBe('x')
  expect((await server.events(id)).filter((event) => event.type === 'sandbox.started')).toHaveLength(1)
})

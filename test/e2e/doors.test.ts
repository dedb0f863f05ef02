import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'

/** Every door leads through the gate: whoever acts, by whatever way, the action is checked and on record. */

const CLI = fileURLToPath(new URL('../../bin/cloister.mjs', import.meta.url))
const run = promisify(execFile)

let server: ServerProcess
let scripts: string
let id: string
beforeAll(async () => {
  scripts = mkdtempSync(join(tmpdir(), 'cloister-scripts-'))
  const script = {
    steps: [
      { say: 'inside', call: [{ tool: 'fs.read', args: { path: 'a.txt' } }] },
      { say: 'outside', call: [{ tool: 'fs.read', args: { path: '../../etc/passwd' } }] },
      { say: 'done' },
    ],
  }
  writeFileSync(join(scripts, 'doors.json'), JSON.stringify(script))
  server = await ServerProcess.start({ env: { CLOISTER_SCRIPTS: scripts } })
  id = (await server.session({ model: 'scripted/doors', setup: '#!/bin/sh\necho content > a.txt' })).id
})
afterAll(async () => {
  await server.destroy()
  rmSync(scripts, { recursive: true })
})

interface Recorded {
  tool_name: string
  status: string
  actor: { kind: string; id: string }
  error: { code: string } | null
}

/** What the gate recorded while `action` ran, oldest first, each with its events. */
async function recorded(action: () => Promise<unknown>): Promise<string[]> {
  const list = async () =>
    (await server.request('GET', `/v1/sessions/${id}/invocations?limit=200`)).body.invocations as (Recorded & { id: string })[]
  const before = new Set((await list()).map((invocation) => invocation.id))
  await action()
  const made = (await list()).filter((invocation) => !before.has(invocation.id)).toReversed()
  const events = await server.events(id)
  for (const invocation of made) {
    const types = events.filter((event) => event.data['invocation_id'] === invocation.id).map((event) => event.type)
    expect(types).toContain('invocation.requested')
    expect(types).toContain(invocation.status === 'denied' ? 'invocation.denied' : 'invocation.completed')
  }
  return made.map(({ tool_name, status, actor, error }) => `${actor.kind} ${tool_name} ${status}${error ? ` ${error.code}` : ''}`)
}

const cloister = async (...args: string[]) => {
  const env = { PATH: process.env['PATH'], HOME: scripts, CLOISTER_URL: server.url, CLOISTER_TOKEN: await server.adminToken() }
  return run(process.execPath, [CLI, ...args], { env }).then(
    () => 0,
    (error: { code: number }) => error.code,
  )
}
const file = async (method: string, path: string, body?: string) =>
  fetch(`${server.url}/v1/sessions/${id}/files?path=${encodeURIComponent(path)}${method === 'PUT' ? '&approved=true' : ''}`, {
    method,
    headers: { authorization: `Bearer ${await server.adminToken()}`, 'content-type': 'application/octet-stream' },
    ...(body === undefined ? {} : { body }),
  })

it('REST', async () => {
  expect(
    await recorded(async () => {
      await server.invoke(id, 'fs.read', { path: 'a.txt' })
      await server.invoke(id, 'fs.read', { path: '../../etc/passwd' })
      await server.invoke(id, 'fs.write', { path: 'b.txt', content: 'x' })
    }),
  ).toEqual(['user fs.read succeeded', 'user fs.read denied policy_denied', 'user fs.write denied approval_required'])
})

it('the command line', async () => {
  expect(
    await recorded(async () => {
      expect(await cloister('tool', 'invoke', id, 'fs.read', '{"path": "a.txt"}')).toBe(0)
      expect(await cloister('tool', 'invoke', id, 'fs.read', '{"path": "../../etc/passwd"}')).toBe(3)
    }),
  ).toEqual(['user fs.read succeeded', 'user fs.read denied policy_denied'])
})

it('the files endpoint', async () => {
  expect(
    await recorded(async () => {
      expect((await file('GET', 'a.txt')).status).toBe(200)
      expect((await file('GET', '../../etc/passwd')).status).toBe(403)
      expect((await file('PUT', 'c.txt', 'x')).status).toBe(200)
      expect((await file('PUT', '.git/config', 'x')).status).toBe(403)
    }),
  ).toEqual([
    'user fs.read succeeded',
    'user fs.read denied policy_denied',
    'user fs.write succeeded',
    'user fs.write denied policy_denied',
  ])
})

it('the agent loop', async () => {
  expect(
    await recorded(async () => {
      await server.request('POST', `/v1/sessions/${id}/messages`, { body: { content: 'go' } })
      for (
        let events = await server.events(id);
        !events.some((event) => event.type === 'turn.completed');
        events = await server.events(id)
      )
        await new Promise((resolve) => setTimeout(resolve, 50))
    }),
  ).toEqual(['agent fs.read succeeded', 'agent fs.read denied policy_denied'])
})

it('MCP', async () => {
  const { token } = (await server.request('POST', `/v1/sessions/${id}/tokens`, { body: {} })).body
  const client = new Client({ name: 'doors', version: '1' })
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  await client.connect(new StreamableHTTPClientTransport(new URL(`${server.url}/v1/sessions/${id}/mcp`), { requestInit }))
  expect(
    await recorded(async () => {
      await client.callTool({ name: 'fs_read', arguments: { path: 'a.txt' } })
      await client.callTool({ name: 'fs_read', arguments: { path: '../../etc/passwd' } })
      await client.listResources()
    }),
  ).toEqual(['mcp fs.read succeeded', 'mcp fs.read denied policy_denied', 'mcp artifact.list succeeded'])
  await client.close()
})

it('an agent credential', async () => {
  const { token } = (await server.request('POST', `/v1/sessions/${id}/tokens`, { body: {} })).body
  expect(
    await recorded(async () => {
      await server.invoke(id, 'fs.read', { path: 'a.txt' }, {}, token)
      await server.invoke(id, 'fs.write', { path: 'd.txt', content: 'x' }, { approved: true }, token)
    }),
  ).toEqual(['mcp fs.read succeeded', 'mcp fs.write denied approval_required'])
})

it('approvals', async () => {
  const decided = async (decision: string) => {
    const pending = await server.invoke(id, 'fs.write', { path: `${decision}.txt`, content: 'x' }, { request_approval: true })
    expect(pending.status).toBe(202)
    const [approval] = (await server.request('GET', `/v1/approvals?status=pending&session=${id}`)).body.approvals
    expect((await server.request('POST', `/v1/approvals/${approval.id}/${decision}`, { body: {} })).status).toBe(200)
    const settled = async () =>
      (await server.request('GET', `/v1/invocations/${pending.body.invocation.id}`)).body.invocation.status
    while (['pending_approval', 'running'].includes(await settled())) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect(
    await recorded(async () => {
      await decided('approve')
      await decided('deny')
    }),
  ).toEqual(['user fs.write succeeded', 'user fs.write denied policy_denied'])
})

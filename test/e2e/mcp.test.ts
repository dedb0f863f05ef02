import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'

/** A session as an MCP server, with the official client: both revisions of the protocol that clients speak. */

const CLI = fileURLToPath(new URL('../../src/cli/cli.ts', import.meta.url))
const INSPECTOR = fileURLToPath(
  new URL('../../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js', import.meta.url),
)
const SECRET = 'hunter2-hunter2'

const project = { scripts: { test: 'echo begun; sleep 0.3; echo $API_TOKEN; sleep 1; echo ended' } }

let server: ServerProcess
let id: string
let token: string
const clients: Client[] = []

beforeAll(async () => {
  server = await ServerProcess.start({ env: { CLOISTER_SHELL: '1' } })
  const session = await server.session({
    setup: `#!/bin/sh
cat > package.json <<'END'
${JSON.stringify(project)}
END
for n in 196432 200000 3000000 4194304 4194305; do head -c $n /dev/urandom > $n.bin; done
`,
    secrets: { API_TOKEN: SECRET },
    principal: { tenant_id: 'default', actor_id: 'admin', roles: ['platform_admin'] },
  })
  id = session.id
  token = await tokenOf(id)
})
afterAll(async () => {
  for (const client of clients) await client.close()
  await server.destroy()
})

const tokenOf = async (session: string) =>
  (await server.request('POST', `/v1/sessions/${session}/tokens`, { body: {} })).body.token as string
const urlOf = (session: string) => new URL(`${server.url}/v1/sessions/${session}/mcp`)

async function connect(
  mode: 'modern' | 'legacy',
  options: { bearer?: string; session?: string; headers?: Record<string, string> } = {},
): Promise<Client> {
  const client = new Client(
    { name: 'test', version: '1' },
    { versionNegotiation: { mode: mode === 'modern' ? { pin: '2026-07-28' } : 'legacy' } },
  )
  const headers = { authorization: `Bearer ${options.bearer ?? token}`, ...options.headers }
  await client.connect(new StreamableHTTPClientTransport(urlOf(options.session ?? id), { requestInit: { headers } }))
  clients.push(client)
  return client
}

// biome-ignore lint/suspicious/noExplicitAny: results of every shape
const parsed = (result: any) => JSON.parse(result.content[0].text)

describe.each(['modern', 'legacy'] as const)('%s clients', (mode) => {
  it('list the tools of the session, with hints and schemas', async () => {
    const client = await connect(mode)
    const { tools } = await client.listTools()
    const listed = (await server.request('GET', `/v1/sessions/${id}/tools`)).body.tools as { name: string }[]
    expect(tools.map(({ title }) => title)).toEqual(listed.map(({ name }) => name))
    for (const { name } of tools) expect(name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/)
    const named = (title: string) => tools.find((tool) => tool.title === title)
    expect(named('fs.read')).toMatchObject({
      name: 'fs_read',
      annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
      inputSchema: { type: 'object', required: ['path'], additionalProperties: false },
      outputSchema: { type: 'object' },
    })
    expect(named('fs.delete')?.annotations).toMatchObject({ readOnlyHint: false, destructiveHint: true })
    expect(named('fs.write')?.description).toContain('A person must approve')
  })

  it('call them through the gate, and get structured content', async () => {
    const client = await connect(mode)
    const result = await client.callTool({ name: 'fs_list', arguments: {} })
    expect(result.isError ?? false).toBe(false)
    expect(result.structuredContent).toMatchObject({ entries: expect.any(Array) })
    expect(parsed(result)).toEqual(result.structuredContent)
    const invocation = (await server.request('GET', `/v1/invocations/${result._meta?.['cloister/invocation_id']}`)).body
      .invocation
    expect(invocation).toMatchObject({ tool_name: 'fs.list', status: 'succeeded', actor: { kind: 'mcp', id: 'default/admin' } })
    // By the name that everything else uses, too.
    expect((await client.callTool({ name: 'fs.list', arguments: {} })).structuredContent).toBeDefined()
  })

  it('are told why a call failed or was refused, and what would be accepted', async () => {
    const client = await connect(mode)
    const missing = await client.callTool({ name: 'fs_read', arguments: { path: 'missing.txt' } })
    expect(missing.isError).toBe(true)
    expect(parsed(missing)).toMatchObject({ status: 'failed', error: { code: 'not_found' } })
    const outside = await client.callTool({ name: 'fs_read', arguments: { path: '../../etc/passwd' } })
    expect(parsed(outside)).toMatchObject({ status: 'denied', error: { code: 'policy_denied', rule: 'path_scope' } })
    const wrong = await client.callTool({ name: 'fs_read', arguments: { pfad: 1 } })
    expect(parsed(wrong).error).toMatchObject({ code: 'invalid_argument', details: { issues: expect.any(Array) } })
    await expect(client.callTool({ name: 'no_such_tool', arguments: {} })).rejects.toThrow(/there is no tool/)
    const denied = (await server.events(id)).filter(({ type }) => type === 'invocation.denied')
    expect(denied.length).toBeGreaterThan(0)
  })

  it('never approve: they are told where to, and the same call again has the result', async () => {
    const client = await connect(mode)
    const call = { name: 'fs_write', arguments: { path: `approved-${mode}.txt`, content: mode } }
    for (const approved of [undefined, true]) {
      const result = await client.callTool({ ...call, ...(approved && { _meta: { approved }, arguments: call.arguments }) })
      expect(result.isError).toBe(true)
      expect(parsed(result)).toMatchObject({ status: 'pending_approval', error: { code: 'approval_required' } })
    }
    const { approvals } = (await server.request('GET', `/v1/approvals?status=pending&session=${id}`)).body
    expect(approvals).toHaveLength(1)
    expect(parsed(await client.callTool(call)).approval_id).toBe(approvals[0].id)
    const bearer = { token }
    expect((await server.request('POST', `/v1/approvals/${approvals[0].id}/approve`, { ...bearer, body: {} })).status).toBe(403)
    await server.request('POST', `/v1/approvals/${approvals[0].id}/approve`, { body: {} })
    let result = await client.callTool(call)
    for (let tries = 0; tries < 50 && result.isError; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      result = await client.callTool(call)
    }
    expect(result.structuredContent).toMatchObject({ bytes_written: mode.length })
    // Once delivered, the same call is a new one.
    expect(parsed(await client.callTool(call))).toMatchObject({ status: 'pending_approval' })
    const [again] = (await server.request('GET', `/v1/approvals?status=pending&session=${id}`)).body.approvals
    await server.request('POST', `/v1/approvals/${again.id}/deny`, { body: {} })
  })

  it('name their calls as everybody does, and not as the agent does', async () => {
    const client = await connect(mode)
    const named = (correlation_id: unknown) =>
      client.callTool({ name: 'fs_list', arguments: {}, _meta: { 'cloister/correlation_id': correlation_id } })
    const mine = `mine-${mode}:1`
    const [first, again] = [await named(mine), await named(mine)]
    expect(first._meta).toMatchObject({ 'cloister/correlation_id': mine })
    expect(again._meta).toEqual(first._meta)
    for (const wrong of ['', 'x'.repeat(129), 'a b', 7, null])
      await expect(named(wrong)).rejects.toThrow(/cloister\/correlation_id has to be letters/)
    const reserved = await named('trn_01h2xcejqtf2nbrexx3vqjhp41:1:0')
    expect(parsed(reserved)).toMatchObject({ error: { code: 'invalid_argument', message: expect.stringContaining('turns') } })
  })

  it('see what a command prints as progress, while it runs; secrets nowhere', async () => {
    const client = await connect(mode)
    const seen: string[] = []
    let over = false
    const result = client
      .callTool({ name: 'repo_run_tests', arguments: {} }, { onprogress: ({ message }) => !over && seen.push(message ?? '') })
      .finally(() => {
        over = true
      })
    expect((await result).structuredContent).toMatchObject({ exit_code: 0 })
    expect(seen.join('')).toMatch(/begun[\s\S]*\[secret:API_TOKEN\]/)
    expect(JSON.stringify([await result, seen])).not.toContain(SECRET)
  })

  it('cancel what runs', async () => {
    const client = await connect(mode)
    const abort = new AbortController()
    const call = client.callTool(
      { name: 'repo_run_tests', arguments: {} },
      { signal: abort.signal, onprogress: () => abort.abort(new Error('enough')) },
    )
    await expect(call).rejects.toThrow(/enough|abort/i)
    const latest = async () =>
      (await server.request('GET', `/v1/sessions/${id}/invocations?tool=repo.run_tests&limit=1`)).body.invocations[0]
    for (let tries = 0; tries < 100 && (await latest()).status === 'running'; tries++)
      await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await latest()).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
  })

  it('read what calls left behind as resources', async () => {
    const client = await connect(mode)
    const uploaded = await client.callTool({
      name: 'artifact_upload',
      arguments: { path: 'package.json', content_type: 'application/json' },
    })
    const link = (uploaded.content as { type: string; uri: string }[]).find(({ type }) => type === 'resource_link')
    const { resources } = await client.listResources()
    expect(resources.map(({ uri }) => uri)).toContain(link?.uri)
    const { contents } = await client.readResource({ uri: link?.uri as string })
    expect(contents).toEqual([{ uri: link?.uri, mimeType: 'application/json', text: `${JSON.stringify(project)}\n` }])
    for (const uri of [
      'cloister://sessions/other/artifacts/art_1',
      `cloister://sessions/${id}/artifacts/../../x`,
      'file:///etc/passwd',
    ])
      await expect(client.readResource({ uri })).rejects.toThrow()
  })

  it('read them whole, or are told where they are to be had; reading leaves nothing behind', async () => {
    const client = await connect(mode)
    const leave = async (size: number) => {
      const call = { name: 'artifact_upload', arguments: { path: `${size}.bin`, max_bytes: 8 * 1024 * 1024 } }
      const uploaded = await client.callTool(call)
      const { uri } = (uploaded.content as { type: string; uri: string }[]).find(({ type }) => type === 'resource_link') as {
        uri: string
      }
      return { uri, ...(uploaded.structuredContent as { sha256: string }) }
    }
    for (const size of [196_432, 200_000, 3_000_000, 4_194_304]) {
      const { uri, sha256 } = await leave(size)
      const listed = (await client.listResources()).resources.length
      const { contents } = await client.readResource({ uri })
      const { mimeType, blob } = contents[0] as { mimeType: string; blob: string }
      const bytes = Buffer.from(blob, 'base64')
      expect([mimeType, bytes.length]).toEqual(['application/octet-stream', size])
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256)
      const reads = (await server.request('GET', `/v1/sessions/${id}/invocations?tool=artifact.download&limit=1`)).body
        .invocations
      expect(reads[0]).toMatchObject({ status: 'succeeded', actor: { kind: 'mcp' }, output: { size_bytes: size, sha256 } })
      expect((await client.listResources()).resources).toHaveLength(listed)
    }
    const { uri } = await leave(4_194_305)
    const refused = await client.readResource({ uri }).catch(String)
    const [, path] = /GET (\/v1\/invocations\/\S+)/.exec(String(refused)) ?? []
    const fetched = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${await server.adminToken()}` } })
    expect((await fetched.arrayBuffer()).byteLength).toBe(4_194_305)
  })
})

describe('whoever is not a client of this session', () => {
  const post = (headers: Record<string, string>, body: unknown = { jsonrpc: '2.0', id: 1, method: 'ping' }, session = id) =>
    fetch(urlOf(session), {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      body: JSON.stringify(body),
    })
  const bearer = (value: string) => ({ authorization: `Bearer ${value}` })

  it('is turned away before MCP is spoken', async () => {
    const other = await server.session({})
    const stranger = await server.user('mallory')
    expect((await post({})).status).toBe(401)
    expect((await post(bearer('nonsense'))).status).toBe(401)
    expect((await post(bearer(await tokenOf(other.id)))).status).toBe(404)
    expect((await post(bearer(stranger))).status).toBe(404)
    expect((await post(bearer(token), undefined, 'ses_none')).status).toBe(404)
  })

  it('is no web page of somewhere else', async () => {
    for (const origin of ['https://evil.example', 'null', `http://localhost.evil.example:${new URL(server.url).port}`])
      expect((await post({ ...bearer(token), origin })).status).toBe(403)
    expect((await post({ ...bearer(token), origin: server.url })).status).not.toBe(403)
    // A name of the attacker's that leads here: the page is of the same origin, and of no server of ours.
    const { port } = new URL(server.url)
    const rebound = await new Promise<number | undefined>((resolve, reject) => {
      const host = `evil.example:${port}`
      const headers = { ...bearer(token), host, origin: `http://${host}`, 'content-type': 'application/json' }
      const asked = request({ port, path: urlOf(id).pathname, method: 'POST', headers }, (answer) => resolve(answer.statusCode))
      asked.on('error', reject).end('{}')
    })
    expect(rebound).toBe(403)
  })

  it('sends no body without end', async () => {
    const response = await post(bearer(token), {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'fs_list', arguments: { path: 'x'.repeat(3_000_000) } },
    })
    expect(response.status).toBe(413)
  })

  it('does not take over the MCP session of another caller', async () => {
    const client = await connect('legacy')
    await client.ping()
    const begun = await post(bearer(token), {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    })
    const mcpSession = begun.headers.get('mcp-session-id') as string
    expect(mcpSession).toBeTruthy()
    const headers = { 'mcp-session-id': mcpSession, 'mcp-protocol-version': '2025-11-25' }
    expect((await post({ ...bearer(token), ...headers })).status).toBe(200)
    expect((await post({ ...bearer(await server.adminToken()), ...headers })).status).toBe(404)
    expect((await fetch(urlOf(id), { method: 'DELETE', headers: { ...bearer(token), ...headers } })).status).toBe(200)
    expect((await post({ ...bearer(token), ...headers })).status).toBe(404)
  })

  it('gets no more MCP sessions than it may', async () => {
    const session = await server.session({})
    const own = await tokenOf(session.id)
    const initialize = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    }
    const statuses: number[] = []
    for (let n = 0; n < 34; n++) statuses.push((await post(bearer(own), initialize, session.id)).status)
    expect(new Set(statuses.slice(0, 32))).toEqual(new Set([200]))
    expect(statuses.slice(32)).toEqual([429, 429])
  })
})

it('a closed session answers that it is closed', async () => {
  const session = await server.session({})
  const client = await connect('modern', { session: session.id, bearer: await tokenOf(session.id) })
  await server.request('POST', `/v1/sessions/${session.id}/close`)
  expect(parsed(await client.callTool({ name: 'fs_list', arguments: {} }))).toMatchObject({ error: { code: 'session_closed' } })
})

describe('cloister mcp', () => {
  async function bridged(env: Record<string, string>, args: string[], mode: 'modern' | 'legacy') {
    const client = new Client(
      { name: 'test', version: '1' },
      { versionNegotiation: { mode: mode === 'modern' ? { pin: '2026-07-28' } : 'legacy' } },
    )
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [CLI, '--url', server.url, 'mcp', ...args],
      env: { PATH: process.env['PATH'] ?? '', HOME: server.home, ...env },
      stderr: 'pipe',
    })
    let said = ''
    transport.stderr?.on('data', (chunk: Buffer) => {
      said += chunk
    })
    try {
      await client.connect(transport)
    } catch (error) {
      throw new Error(said || String(error))
    }
    clients.push(client)
    return { client, said: () => said }
  }

  it.each(['modern', 'legacy'] as const)(
    'hands on what a %s client says over stdin, as a client of this one session',
    async (mode) => {
      const { client, said } = await bridged({ CLOISTER_TOKEN: await server.adminToken() }, ['--session', id], mode)
      expect((await client.listTools()).tools.length).toBeGreaterThan(10)
      const result = await client.callTool({ name: 'fs_list', arguments: {} })
      expect(result.structuredContent).toMatchObject({ entries: expect.any(Array) })
      const invocation = (await server.request('GET', `/v1/invocations/${result._meta?.['cloister/invocation_id']}`)).body
        .invocation
      expect(invocation.actor).toEqual({ kind: 'mcp', id: 'default/admin' })
      const seen: string[] = []
      await client.callTool({ name: 'repo_run_tests', arguments: {} }, { onprogress: ({ message }) => seen.push(message ?? '') })
      expect(seen.join('')).toContain('begun')
      await client.close()
      expect(said()).toBe('')
    },
  )

  it('takes a credential of the session as it is', async () => {
    const { client } = await bridged({ CLOISTER_TOKEN: token }, ['--session', id], 'legacy')
    expect((await client.callTool({ name: 'fs_list', arguments: {} })).isError ?? false).toBe(false)
  })

  it('says what is wrong on stderr', async () => {
    await expect(bridged({ CLOISTER_TOKEN: 'nonsense' }, ['--session', id], 'legacy')).rejects.toThrow(
      /log in|unauthorized|credential/i,
    )
    await expect(bridged({ CLOISTER_TOKEN: await server.adminToken() }, ['--session', 'ses_none'], 'legacy')).rejects.toThrow(
      /no such session/,
    )
  })
})

it("the inspector's command line lists and calls tools", async () => {
  const inspect = (...args: string[]) =>
    promisify(execFile)(
      process.execPath,
      [INSPECTOR, '--cli', urlOf(id).href, '--transport', 'http', '--header', `Authorization: Bearer ${token}`, ...args],
      {
        env: { PATH: process.env['PATH'], HOME: server.home },
      },
    )
  const listed = JSON.parse((await inspect('--method', 'tools/list')).stdout)
  expect(listed.tools.map(({ name }: { name: string }) => name)).toContain('fs_read')
  const called = JSON.parse((await inspect('--method', 'tools/call', '--tool-name', 'fs_list', '--tool-arg', 'path=.')).stdout)
  expect(called.structuredContent).toMatchObject({ entries: expect.any(Array) })
})

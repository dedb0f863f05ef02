import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ServerProcess } from '../support/server-process.ts'

/** The commands that the README prints, run as they stand there: only the port, and `<id>`, are put in. */

const README = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8')
const run = promisify(execFile)

let server: ServerProcess
let workspace: string
beforeAll(async () => {
  workspace = mkdtempSync(join(tmpdir(), 'cloister-workspace-'))
  server = await ServerProcess.start({ env: { CLOISTER_AUTH: 'payload', CLOISTER_SOURCE_ROOTS: workspace } })
})
afterAll(async () => {
  await server.stop()
  rmSync(server.home, { recursive: true, force: true })
  rmSync(workspace, { recursive: true })
})

const shell = async (command: string) => {
  const { stdout } = await run('bash', ['-c', command.replaceAll('localhost:50053', new URL(server.url).host)])
  return stdout
}

it('the first session with curl works as printed', async () => {
  const commands = README.replaceAll('\\\n', ' ').match(/^ {4}curl .*$/gm) ?? []
  expect(commands).toHaveLength(7)
  const answers: string[] = []
  let id = ''
  for (const command of commands) {
    const answer = await shell(command.replaceAll('<id>', id))
    answers.push(answer)
    id = /"id":"(inv_[0-9a-z]+)"/.exec(answer)?.[1] ?? id
  }
  const [created, tools, written, read, record, logs, artifacts] = answers.map((answer) => JSON.parse(answer))
  expect(created.session).toMatchObject({ id: 'first', state: 'idle', owner: { tenant_id: 'demo', actor_id: 'alice' } })
  expect(tools.tools.map((tool: { name: string }) => tool.name)).toContain('fs.write')
  expect(written.invocation).toMatchObject({
    status: 'succeeded',
    output: { path: 'notes/demo.txt', bytes_written: 4 },
    approval: { kind: 'given', by: 'demo/alice' },
  })
  expect(read.invocation.output.content).toBe('hola')
  expect(record.invocation).toEqual(read.invocation)
  expect(logs).toMatchObject({ logs: expect.any(Array) })
  expect(artifacts).toEqual({ artifacts: [], next_cursor: null })
  await shell('curl -s -X DELETE localhost:50053/v1/sessions/first')
})

it('a session from a directory, for a named principal, by three calls', async () => {
  const json = "-H 'content-type: application/json'"
  const created = JSON.parse(
    await shell(
      `curl -s localhost:50053/v1/sessions ${json} -d '{"principal": {"tenant_id": "demo", "actor_id": "alice", "roles": ["developer"]}, "source_repo_path": "${workspace}", "allowed_paths": ["."], "expires_in_seconds": 3600}'`,
    ),
  )
  expect(created.session.state).toBe('idle')
  const session = created.session.id
  expect(JSON.parse(await shell(`curl -s localhost:50053/v1/sessions/${session}/tools`)).tools.length).toBeGreaterThan(8)
  const written = await shell(
    `curl -s localhost:50053/v1/sessions/${session}/tools/fs.write/invoke ${json} -d '{"approved": true, "args": {"path": "notes/demo.txt", "content": "hola"}}'`,
  )
  expect(JSON.parse(written).invocation.status).toBe('succeeded')
  await shell(`curl -s -X DELETE localhost:50053/v1/sessions/${session}`)
})

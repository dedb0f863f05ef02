import { afterAll, expect, it } from 'vitest'
import { type Block, DIALECTS, type ModelServer } from '../support/model-dialects.ts'
import { ServerProcess } from '../support/server-process.ts'

/** One task, the same answers of a model in every wire format: the same workspace, the same conversation, the same record. */

const said = (text: string): Block => ({ type: 'text', chunks: text.match(/.{1,9}/gsu) ?? [] })
const call = (id: string, name: string, input: unknown): Block => ({
  type: 'call',
  id,
  name,
  json: JSON.stringify(input).match(/.{1,11}/gsu) ?? [],
})

const TASK: Block[][] = [
  [said('I look around.'), call('c1', 'fs_list', {}), call('c2', 'fs_read', { path: 'missing.txt' })],
  [said('I write.'), call('c3', 'fs_write', { path: 'src/a "b" ü.txt', content: 'one\ntwo\n', create_parents: true })],
  [
    call('c4', 'fs_edit', { path: 'src/a "b" ü.txt', old_string: 'two', new_string: 'drei' }),
    call('c5', 'fs_mkdir', { path: 'empty' }),
  ],
  [said('Now something that I may not.'), call('c6', 'fs_write', { path: '/etc/passwd', content: 'x' })],
  [{ type: 'call', id: 'c7', name: 'fs_read', json: ['{"path": "cut'] }],
  [call('c8', 'no_such_tool', {})],
  [said('Done: one file, one folder.')],
]

const servers: ServerProcess[] = []
const models: ModelServer[] = []
afterAll(async () => {
  for (const server of servers) await server.destroy()
  for (const model of models) await model.close()
})

async function play(dialect: (typeof DIALECTS)[number]) {
  const model = await dialect.start()
  models.push(model)
  const server = await ServerProcess.start({
    env: { ...dialect.environment(model.url), CLOISTER_MODEL: `${dialect.provider}/wire-model` },
  })
  servers.push(server)
  model.answer(dialect.status(429, 'slow down', { 'retry-after': '0' }), ...TASK.map((blocks) => dialect.message(blocks)))
  const { id } = await server.session({ auto_approve: ['fs.*'] })
  await server.request('POST', `/v1/sessions/${id}/messages`, { body: { content: 'do it' } })
  for (;;) {
    if ((await server.events(id)).some(({ type }) => type === 'turn.completed' || type === 'turn.interrupted')) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await server.waitForState(id, (state) => state === 'idle')
  const listed = (await server.invoke(id, 'fs.list', { recursive: true })).body.invocation.output.entries as {
    path: string
    type: string
  }[]
  const files: Record<string, string> = {}
  for (const { path, type } of listed)
    files[path] = type === 'file' ? (await server.invoke(id, 'fs.read', { path })).body.invocation.output.content : type
  const messages = (await server.request('GET', `/v1/sessions/${id}/messages`)).body.messages as {
    role: string
    content: string
  }[]
  const invocations = (await server.request('GET', `/v1/sessions/${id}/invocations`)).body.invocations as {
    turn_id: string | null
    correlation_id: string
    tool_name: string
    status: string
    args: unknown
  }[]
  const steps = (await server.events(id)).filter(({ type }) => type === 'turn.step')
  return {
    files,
    messages: messages.map(({ role, content }) => `${role}: ${content}`),
    record: invocations
      .filter((invocation) => invocation.turn_id)
      // Reads of one answer run at the same time, and whichever is first is recorded first: compared by their place in it.
      .map((invocation) => ({ ...invocation, place: invocation.correlation_id.replace(invocation.turn_id ?? '', '') }))
      .sort((a, b) => a.place.localeCompare(b.place))
      .map(({ place, tool_name, status, args }) => [place, tool_name, status, args]),
    steps: steps.map(({ data }) =>
      (data['calls'] as { tool_name: string; result: { status: string } }[]).map(
        ({ tool_name, result }) => `${tool_name} ${result.status}`,
      ),
    ),
  }
}

it('ends the same, whichever format the model speaks', { timeout: 120_000 }, async () => {
  const [first, ...others] = await Promise.all(DIALECTS.map(play))
  expect(first?.files).toMatchObject({ 'src/a "b" ü.txt': 'one\ndrei\n', empty: 'dir' })
  expect(first?.messages).toEqual(['user: do it', 'agent: Done: one file, one folder.'])
  expect(first?.steps).toEqual([
    ['fs.list succeeded', 'fs.read failed'],
    ['fs.write succeeded'],
    ['fs.edit succeeded', 'fs.mkdir succeeded'],
    ['fs.write denied'],
    ['fs.read not_called'],
    ['no_such_tool not_called'],
    [],
  ])
  for (const other of others) expect(other).toEqual(first)
})

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AnthropicWireServer, cut, message, status, text, toolUse } from '../../../test/support/anthropic-wire-server.ts'
import { ModelProviders } from '../../agent/model-provider.ts'
import type { Approval } from '../../domain/approval.ts'
import { DEFAULT_APPROVERS } from '../../domain/approvers.ts'
import { NO_BUDGET, NOTHING_SPENT } from '../../domain/budget.ts'
import { type CloisterError, errors } from '../../domain/errors.ts'
import type { Event } from '../../domain/event.ts'
import type { Invocation } from '../../domain/invocation.ts'
import { MESSAGE_LIMIT } from '../../domain/message.ts'
import { actorOf, type Caller } from '../../domain/principal.ts'
import { makeRedactor } from '../../domain/redaction.ts'
import { sampleSession } from '../../domain/session.sample.ts'
import type { Session } from '../../domain/session.ts'
import { policyHints, type ToolMetadata } from '../../domain/tool.ts'
import type { ReadRequest } from '../../host/wire.ts'
import { MessagePolicies } from '../../policy/message-policies.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { HostError, SandboxLost } from '../../sandbox/sandbox-errors.ts'
import { openSqliteStore } from '../../store/sql/open-sqlite-store.ts'
import type { Store } from '../../store/store.ts'
import type { InvokeRequest } from '../contracts.ts'
import { type Emit, EventLog } from '../event-log.ts'
import { Quota } from '../invocations/quota.ts'
import { TurnService, type TurnServiceDependencies } from './turn-service.ts'

const ALICE: Caller = { kind: 'user', tenant_id: 'default', actor_id: 'alice', admin: false, tool_roles: ['developer'] }
const BOB: Caller = { ...ALICE, actor_id: 'bob' }
const AGENT: Caller = { kind: 'agent', tenant_id: 'default', actor_id: 'alice', session_id: 'ses_sample' }
const SECRET = 'hunter2hunter2'
const logger = pino({ level: 'silent' })

let folder: string
let store: Store
let eventLog: EventLog
let wire: AnthropicWireServer
let gate: Gate
let files: Files
const services: TurnService[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-turns-'))
  store = await openSqliteStore(join(folder, 'db.sqlite'))
  eventLog = new EventLog(store)
  wire = await AnthropicWireServer.start()
  gate = new Gate(store)
  files = new Files()
})

afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.stop()))
  await wire.close()
  await store.close()
  rmSync(folder, { recursive: true })
})

const tool = (name: string): ToolMetadata => ({
  name,
  family: 'fs',
  description: name,
  input_schema: { type: 'object' },
  output_schema: { type: 'object' },
  scope: 'workspace',
  side_effects: name === 'fs.write' ? 'reversible' : 'none',
  risk_level: 'low',
  requires_approval: false,
  idempotency: 'guaranteed',
  constraints: { timeout_seconds: 10, max_retries: 0, output_limit_kb: 256 },
  cost_hint: 'low',
  policy: policyHints(),
  observability: { trace_name: 'workspace.tools', span_name: name },
  primary_output: null,
  errors: [],
  examples: [],
})

/**
 * Stands in for the gate, with what its contract says that turns rely on: a correlation id names one invocation for good, open ones are
 * in the store, `settled` waits, `cancel` ends. It outlives a TurnService, as the store outlives a server.
 */
class Gate {
  readonly requests: { caller: Caller; request: InvokeRequest }[] = []
  /** Correlation ids of the calls that really ran. */
  readonly ran: string[] = []
  readonly #records = new Map<string, Invocation>()
  readonly #waiting = new Map<string, (() => void)[]>()
  readonly #store: Store
  /** What the next calls come to; `open` and `pending` stay so until `end`. Without: succeeded. */
  readonly outcomes: ('open' | 'pending' | Partial<Invocation>)[] = []

  constructor(store: Store) {
    this.#store = store
  }

  async tools(): Promise<ToolMetadata[]> {
    return ['fs.list', 'fs.read', 'fs.write'].map(tool)
  }

  async invoke(caller: Caller, request: InvokeRequest): Promise<Invocation> {
    this.requests.push({ caller, request })
    const correlation = request.correlation_id as string
    const known = [...this.#records.values()].find((record) => record.correlation_id === correlation)
    if (known) return known.status === 'running' ? this.settled(known.id) : known
    this.ran.push(correlation)
    const outcome = this.outcomes.shift() ?? {}
    const record: Invocation = {
      id: `inv_${this.ran.length}`,
      session_id: request.session_id,
      turn_id: request.turn_id ?? null,
      tool_name: request.tool_name,
      args: request.args as Record<string, unknown>,
      args_digest: 'd'.repeat(64),
      actor: actorOf(caller),
      correlation_id: correlation,
      status: outcome === 'open' ? 'running' : outcome === 'pending' ? 'pending_approval' : 'succeeded',
      approval: null,
      decision: null,
      started_at: '2026-01-01T00:00:00.000Z',
      completed_at: null,
      duration_ms: null,
      exit_code: null,
      trace_name: 'workspace.tools',
      span_name: request.tool_name,
      trace_id: '0'.repeat(32),
      output: { tool: request.tool_name },
      output_ref: null,
      logs_ref: null,
      artifacts: [],
      truncated: false,
      error: null,
      ...(typeof outcome === 'object' ? outcome : {}),
    }
    this.#records.set(record.id, record)
    if (typeof outcome === 'object') return record
    const call = { args: record.args, caller: {}, generation: null, deadline: null }
    await this.#store.openInvocations.insert({ record, call })
    return outcome === 'open' ? this.settled(record.id) : record
  }

  async settled(id: string): Promise<Invocation> {
    for (;;) {
      const record = this.#records.get(id) as Invocation
      if (record.status !== 'running' && record.status !== 'pending_approval') return record
      await new Promise<void>((resolve) => this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), resolve]))
    }
  }

  async end(id: string, fields: Partial<Invocation>): Promise<Invocation> {
    const record = { ...(this.#records.get(id) as Invocation), ...fields }
    this.#records.set(id, record)
    await this.#store.openInvocations.remove(id)
    for (const wake of this.#waiting.get(id) ?? []) wake()
    return record
  }

  cancel(_caller: Caller, id: string): Promise<Invocation> {
    const error = { code: 'cancelled' as const, message: 'cancelled', retryable: false }
    return this.end(id, { status: 'failed', output: null, error })
  }
}

/** What instructions are read from: the contract of `Sandbox.read`, and how it fails. */
class Files {
  readonly reads: ReadRequest[] = []
  readonly lost: number[] = []
  contents = new Map<string, string>()
  failures: Error[] = []
  secrets: Record<string, string> = { API_TOKEN: SECRET }

  async acquire() {
    const sandbox = {
      read: async (request: ReadRequest) => {
        this.reads.push(request)
        const failure = this.failures.shift()
        if (failure) throw failure
        const content = this.contents.get(request.path)
        if (content === undefined) throw new HostError('not_found', 'no such file')
        const bytes = Buffer.from(content)
        return { content_base64: bytes.subarray(0, request.max_bytes).toString('base64'), size_bytes: bytes.length, sha256: null }
      },
    } as unknown as Sandbox
    return { sandbox, generation: this.lost.length + 1 }
  }

  async redactor() {
    return makeRedactor(this.secrets)
  }
}

function dependencies(overrides: Partial<TurnServiceDependencies> = {}): TurnServiceDependencies {
  const { lost } = files
  return {
    store,
    eventLog,
    invocations: gate,
    sandboxes: {
      acquire: () => files.acquire(),
      redactor: () => files.redactor(),
      lost: async (_id, generation) => {
        lost.push(generation)
      },
    },
    models: new ModelProviders({
      default_model: null,
      anthropic: { api_key: 'key', base_url: wire.url },
      openai: null,
      compat: null,
      scripts_folder: folder,
      settings: {},
    }),
    messagePolicy: new MessagePolicies(null),
    messageQuota: new Quota({ perMinutePerSession: 0, perMinutePerPrincipal: 0, concurrentPerSession: 0 }),
    messageLimit: MESSAGE_LIMIT,
    budgets: { turn: { ...NO_BUDGET, steps: 10, seconds: 60 }, session: NO_BUDGET },
    stallMs: 10_000,
    retry: { max_attempts: 2, base_ms: 1, max_ms: 1, random: () => 0 },
    clock: () => new Date(),
    logger,
    ...overrides,
  }
}

function start(overrides: Partial<TurnServiceDependencies> = {}): TurnService {
  const service = new TurnService(dependencies(overrides))
  services.push(service)
  return service
}

async function session(fields: Partial<Session> = {}): Promise<string> {
  const record = sampleSession({ model: 'anthropic/claude-wire', ...fields })
  await store.sessions.insert(record)
  return record.id
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < 4000; tries++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error('it did not come to that')
}

/** Nothing open, nothing waiting. */
const quiet = (id: string) =>
  until(async () => {
    const now = await store.sessions.get(id)
    return now?.state !== 'busy' && (await store.messages.queued(id)).length === 0 && (await store.turns.ofSession(id)) === null
  })

const events = async (id: string, type?: Event['type']) =>
  (await eventLog.list(id, 0, 1000)).filter((event) => !type || event.type === type)
const conversation = async (id: string) => (await store.messages.all(id)).map(({ role, content }) => `${role}: ${content}`)

describe('posting', () => {
  it('answers a message with a turn that goes from idle over busy to idle, all of it in the log', async () => {
    wire.answer(message([text('Hello.')], { usage: { input_tokens: 100, output_tokens: 7 } }))
    const id = await session()
    const service = start()
    const { message: posted, turn_id } = await service.post(ALICE, id, 'hi')
    expect(posted).toMatchObject({ role: 'user', content: 'hi', seq: 1 })
    await quiet(id)
    expect((await events(id)).map((event) => event.type)).toEqual([
      'message.created',
      'session.state_changed',
      'turn.started',
      'model.called',
      'turn.step',
      'message.created',
      'turn.completed',
      'session.state_changed',
    ])
    const [, answer] = await store.messages.all(id)
    expect(answer).toMatchObject({ role: 'agent', content: 'Hello.', turn_id, usage: { input_tokens: 100, output_tokens: 7 } })
    expect((await events(id, 'turn.completed'))[0]?.data).toMatchObject({
      turn_id,
      status: 'completed',
      message_id: answer?.id,
      steps: 1,
    })
    expect((await events(id, 'session.state_changed')).map(({ data }) => [data['from'], data['to']])).toEqual([
      ['idle', 'busy'],
      ['busy', 'idle'],
    ])
    expect((await store.sessions.get(id))?.usage).toMatchObject({ input_tokens: 100, output_tokens: 7, turns: 1 })
    expect(await eventLog.verify(id)).toMatchObject({ valid: true })
    expect((await service.messages(ALICE, id, { limit: 10, cursor: null })).items).toHaveLength(2)
  })

  it('runs one turn for each message, in order, and remembers what was said and done', async () => {
    wire.answer(
      message([text('I look.'), toolUse('toolu_1', 'fs_list', { path: '.' })]),
      message([text('One file.')]),
      message([text('Second answer.')]),
    )
    const id = await session()
    const service = start()
    await Promise.all([service.post(ALICE, id, 'first'), service.post(ALICE, id, 'second')])
    await quiet(id)
    expect((await conversation(id)).filter((line) => line.startsWith('agent'))).toEqual([
      'agent: One file.',
      'agent: Second answer.',
    ])
    const { messages } = wire.requests[2]?.body ?? expect.fail('no third call')
    expect(messages.map(({ role, content }) => [role, content.map((part) => part.type)])).toEqual([
      ['user', ['text']],
      ['assistant', ['text', 'tool_use']],
      ['user', ['tool_result']],
      ['assistant', ['text']],
      ['user', ['text']],
    ])
    expect(JSON.stringify(messages)).toContain('One file.')
    expect((await events(id, 'turn.started')).map((event) => event.data['turn_id'])).toHaveLength(2)
  })

  it('gives the next turn what the calls of the one before were given and what they said, each of them', async () => {
    const calls = ['first', 'second', 'third'].map((name) => toolUse(`toolu_${name}`, 'fs_read', { path: `${name}.txt` }))
    wire.answer(message(calls), message([text('Read.')]), message([text('As I said.')]))
    for (const name of ['first', 'second', 'third']) gate.outcomes.push({ output: { content: `what stood in ${name}` } })
    const id = await session()
    const service = start()
    await service.post(ALICE, id, 'read them')
    await quiet(id)
    // A server that knows the first turn only from the log.
    await service.stop()
    await start().post(ALICE, id, 'what did they say?')
    await quiet(id)
    const content = wire.requests[2]?.body.messages.flatMap((said) => said.content) ?? expect.fail('no third call')
    expect(content.flatMap(({ type, id: call, input }) => (type === 'tool_use' ? [[call, input]] : []))).toEqual([
      ['toolu_first', { path: 'first.txt' }],
      ['toolu_second', { path: 'second.txt' }],
      ['toolu_third', { path: 'third.txt' }],
    ])
    const results = content.flatMap(({ type, content: said }) => (type === 'tool_result' ? [JSON.parse(said as string)] : []))
    expect(results).toEqual(
      ['first', 'second', 'third'].map((name) => ({ status: 'succeeded', output: { content: `what stood in ${name}` } })),
    )
  })

  it.each([
    ['', 'invalid_argument', ALICE],
    [' \n', 'invalid_argument', ALICE],
    ['x'.repeat(100_001), 'invalid_argument', ALICE],
    ['hi', 'not_found', BOB],
    ['hi', 'permission_denied', AGENT],
    ['hi', 'not_found', { ...AGENT, session_id: 'ses_other' }],
  ] as [string, string, Caller][])('refuses %j with %s', async (content, code, caller) => {
    const id = await session()
    await expect(start().post(caller, id.slice(0), content)).rejects.toMatchObject({ code })
    expect(await store.messages.all(id)).toEqual([])
    expect(await events(id)).toEqual([])
  })

  it('takes the longest message', async () => {
    wire.answer(message([text('ok')]))
    const id = await session()
    await start().post(ALICE, id, 'x'.repeat(100_000))
    await quiet(id)
  })

  it.each([
    ['closed', 'session_closed'],
    ['error', 'conflict'],
    ['deleted', 'not_found'],
  ] as const)('refuses a message to a session that is %s', async (state, code) => {
    const id = await session({ state })
    await expect(start().post(ALICE, id, 'hi')).rejects.toMatchObject({ code })
  })

  it('keeps a message of an initializing session until it is idle and somebody kicks', async () => {
    wire.answer(message([text('Hello.')]))
    const id = await session({ state: 'initializing' })
    const service = start()
    await service.post(ALICE, id, 'hi')
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(wire.requests).toEqual([])
    await store.sessions.update(id, { state: 'idle' })
    service.kick(id)
    await quiet(id)
    expect(await conversation(id)).toEqual(['user: hi', 'agent: Hello.'])
  })

  it('never runs two turns of a session at once, and leaves out no message', async () => {
    const id = await session({ model: 'scripted/default' })
    const service = start()
    const posted = await Promise.all(Array.from({ length: 20 }, (_, n) => service.post(ALICE, id, `message ${n}`)))
    service.kick(id)
    await quiet(id)
    const log = (await events(id)).filter(({ type }) => type === 'turn.started' || type === 'turn.completed')
    expect(log.map(({ type }) => type)).toEqual(Array.from({ length: 20 }, () => ['turn.started', 'turn.completed']).flat())
    const inOrder = posted.toSorted((a, b) => a.message.seq - b.message.seq).map(({ turn_id }) => turn_id)
    expect(log.filter(({ type }) => type === 'turn.started').map(({ data }) => data['turn_id'])).toEqual(inOrder)
  })

  it('bounds how many messages wait', async () => {
    const id = await session({ state: 'initializing' })
    const service = start()
    for (let n = 0; n < 100; n++) await service.post(ALICE, id, `message ${n}`)
    await expect(service.post(ALICE, id, 'one more')).rejects.toMatchObject({ code: 'rate_limited' })
  })
})

describe('calls', () => {
  it('go through the gate as the agent, asking for approval, under a correlation id of turn, step and position', async () => {
    wire.answer(
      message([toolUse('toolu_1', 'fs_list', { path: '.' }), toolUse('toolu_2', 'fs_read', { path: 'a' })]),
      message([text('ok')]),
    )
    const id = await session()
    const { turn_id } = await start().post(ALICE, id, 'look')
    await quiet(id)
    expect(gate.requests).toEqual([
      {
        caller: AGENT,
        request: {
          session_id: id,
          tool_name: 'fs.list',
          args: { path: '.' },
          request_approval: true,
          correlation_id: `${turn_id}:1:0`,
          turn_id,
        },
      },
      { caller: AGENT, request: expect.objectContaining({ tool_name: 'fs.read', correlation_id: `${turn_id}:1:1` }) },
    ])
  })

  it('wait for an approval without holding a model call, and tell the model what was decided', async () => {
    wire.answer(message([text('I write.'), toolUse('toolu_1', 'fs_write', { path: 'a' })]), message([text('You said no.')]))
    gate.outcomes.push('pending')
    const id = await session()
    await start().post(ALICE, id, 'write')
    await until(() => gate.ran.length === 1)
    expect(wire.requests).toHaveLength(1)
    // Who comes now, and the log for good, has what the agent said and wants to do.
    const [answered] = await events(id, 'turn.answered')
    expect(answered?.data).toMatchObject({
      step: 1,
      text: 'I write.',
      finish_reason: 'tool-calls',
      calls: [{ tool_name: 'fs.write', args: { path: 'a' }, invocation_id: null, result: null }],
    })
    expect(await events(id, 'turn.step')).toEqual([])
    expect((await store.sessions.get(id))?.state).toBe('busy')
    const error = { code: 'approval_required' as const, message: 'default/alice said no: not today', retryable: false }
    await gate.end('inv_1', { status: 'denied', output: null, error })
    await quiet(id)
    expect(await conversation(id)).toEqual(['user: write', 'agent: You said no.'])
    expect(wire.requests[1]?.body.messages.at(-1)?.content[0]).toMatchObject({
      is_error: true,
      content: expect.stringContaining('not today'),
    })
  })
})

describe('the time that a person takes to decide', () => {
  const DAY = 24 * 3600 * 1000
  /** A turn whose call waits for a day, is approved, runs for five seconds and has its result; the model then says nothing yet. */
  async function afterTheResult() {
    wire.answer(
      message([toolUse('toolu_1', 'fs_write', { path: 'a' })]),
      cut(message([text('a', 'b')]), 'hang', 'content_block_delta', 1),
    )
    gate.outcomes.push('pending')
    let now = Date.parse('2026-01-01T00:00:00.000Z')
    const clock = () => new Date(now)
    const id = await session()
    const service = start({ clock })
    await service.post(ALICE, id, 'write')
    await until(async () => (await store.openInvocations.ofSession(id)).length === 1)
    now += DAY
    await store.approvals.insert({ ...sampleApproval(id), decided_at: clock().toISOString() })
    now += 5000
    await gate.end('inv_1', { status: 'succeeded' })
    await wire.received(2)
    return { id, service, clock }
  }
  const sampleApproval = (id: string): Approval => ({
    id: 'apr_1',
    session_id: id,
    invocation_id: 'inv_1',
    tool_name: 'fs.write',
    args: {},
    args_digest: '',
    policy_version: '',
    state_digest: null,
    requested_by: 'default/alice',
    approvers: DEFAULT_APPROVERS,
    status: 'used',
    decided_by: 'default/alice',
    reason: null,
    created_at: '2026-01-01T00:00:00.000Z',
    expires_at: '2026-01-03T00:00:00.000Z',
    decided_at: null,
  })

  it('is not charged to the turn when the server goes right after the result', async () => {
    const { id, service, clock } = await afterTheResult()
    await service.stop()
    expect((await store.turns.ofSession(id))?.spent.seconds).toBe(5)
    wire.answer(message([text('Written.')]))
    await start({ clock }).resume()
    await quiet(id)
    expect(await conversation(id)).toEqual(['user: write', 'agent: Written.'])
  })

  it('is not charged to the session when somebody interrupts right after the result', async () => {
    const { id, service } = await afterTheResult()
    await service.interrupt(ALICE, id)
    expect((await store.sessions.get(id))?.usage.seconds).toBe(5)
  })
})

describe('instructions', () => {
  const path = '/session/code/instructions.md'
  const recorded = async (id: string) =>
    (await events(id, 'model.called')).map((event) => event.data['instructions'] as Record<string, unknown>)

  it('reach every model call as they are then, and the log shows it', async () => {
    wire.answer(message([text('one')]), message([text('two')]))
    const id = await session()
    const service = start()
    files.contents.set(path, 'Answer in French.')
    await service.post(ALICE, id, 'first')
    await quiet(id)
    files.contents.set(path, 'Answer in Latin.')
    await service.post(ALICE, id, 'second')
    await quiet(id)
    const [first, second] = await recorded(id)
    expect([first?.['text'], second?.['text']]).toEqual(['Answer in French.', 'Answer in Latin.'])
    expect(first?.['sha256']).not.toBe(second?.['sha256'])
    const systems = wire.requests.map((request) => request.body.system?.map((part) => part.text).join('') ?? '')
    expect(systems[0]).toContain('Answer in French.')
    expect(systems[1]).toContain('Answer in Latin.')
    expect(systems[1]).not.toContain('French')
  })

  it('are read by host, in the workspace only, beside a repository in .cloister', async () => {
    wire.answer(message([text('one')]))
    const id = await session({ repo_url: 'https://example.org/r.git' })
    await start().post(ALICE, id, 'first')
    await quiet(id)
    expect(files.reads).toEqual([
      { path: '/session/code/.cloister/instructions.md', roots: ['/session/code'], max_bytes: 65_536 },
    ])
  })

  it.each(['path_denied', 'not_found', 'is_directory', 'not_a_directory'] as const)(
    'count as none when host says %s',
    async (code) => {
      wire.answer(message([text('one')]))
      files.failures.push(new HostError(code, 'no'))
      const id = await session()
      await start().post(ALICE, id, 'first')
      await quiet(id)
      expect(await recorded(id)).toMatchObject([{ text: null, sha256: null, note: expect.any(String) }])
      expect(wire.requests[0]?.body.system?.map((part) => part.text).join('')).toContain('The session has none')
    },
  )

  it('are cut on a character when they are long, and say so', async () => {
    wire.answer(message([text('one')]))
    files.contents.set(path, `a${'é'.repeat(40_000)}`)
    const id = await session()
    await start().post(ALICE, id, 'first')
    await quiet(id)
    const [instructions] = await recorded(id)
    expect(instructions?.['note']).toContain('first 64 KiB of 80001 bytes')
    expect(instructions?.['truncated']).toBe(true)
    expect(Buffer.byteLength(instructions?.['text'] as string)).toBeLessThanOrEqual(4096)
    expect(JSON.stringify(wire.requests[0]?.body.system)).not.toContain('\uFFFD')
  })

  it('are asked for in a new sandbox when the old one is lost', async () => {
    wire.answer(message([text('one')]))
    files.failures.push(new SandboxLost('gone'))
    files.contents.set(path, 'still here')
    const id = await session()
    await start().post(ALICE, id, 'first')
    await quiet(id)
    expect(files.lost).toEqual([1])
    expect(await recorded(id)).toMatchObject([{ text: 'still here' }])
  })

  it('end the turn, and say why, when there is no sandbox to read them in', async () => {
    const id = await session()
    const service = start({
      sandboxes: {
        ...dependencies().sandboxes,
        acquire: async () => {
          throw errors.sandboxUnavailable('bwrap is missing')
        },
      },
    })
    await service.post(ALICE, id, 'first')
    await quiet(id)
    expect(await conversation(id)).toEqual(['user: first', expect.stringContaining('bwrap is missing')])
    expect(wire.requests).toEqual([])
    expect((await store.sessions.get(id))?.state).toBe('idle')
  })
})

describe('what policy does not let be said', () => {
  const messagePolicy: TurnServiceDependencies['messagePolicy'] = {
    inForce: true,
    refuse: ({ text: said }) =>
      said.includes('forbidden') ? { reason: 'it is forbidden', policies: ['no-words'], policy_version: 'v1' } : null,
  }

  it('is not taken from a user: refused, recorded by its digest, and no turn begins', async () => {
    const id = await session()
    const service = start({ messagePolicy })
    await expect(service.post(ALICE, id, 'a forbidden word')).rejects.toMatchObject({
      code: 'policy_denied',
      details: { rule: 'message_policy', reason: 'it is forbidden', policies: ['no-words'] },
    })
    expect(await conversation(id)).toEqual([])
    const [denied] = await events(id)
    expect(denied).toMatchObject({
      type: 'message.denied',
      actor: { kind: 'user', id: 'default/alice' },
      data: { kind: 'message', characters: 16, sha256: expect.stringMatching(/^[0-9a-f]{64}$/), policies: ['no-words'] },
    })
    expect(JSON.stringify(denied)).not.toContain('a forbidden word')
  })

  it('counts as a message written: who goes on is stopped, and fills no log', async () => {
    const id = await session()
    const messageQuota = new Quota({ perMinutePerSession: 2, perMinutePerPrincipal: 0, concurrentPerSession: 0 })
    const service = start({ messagePolicy, messageQuota })
    const codes = []
    for (let n = 0; n < 4; n++)
      codes.push(await service.post(ALICE, id, 'a forbidden word').catch((error: CloisterError) => [error.code, error.status]))
    expect(codes).toEqual([
      ['policy_denied', 403],
      ['policy_denied', 403],
      ['rate_limited', 429],
      ['rate_limited', 429],
    ])
    expect(await events(id)).toHaveLength(2)
  })

  it('is not shown of the model: not in the stream, the messages, the log, nor the next prompt; the turn ends', async () => {
    wire.answer(
      message([text('This is ', 'a forbidden', ' answer'), toolUse('toolu_1', 'fs_write', { path: 'a' })]),
      message([text('A good answer.')]),
    )
    const id = await session()
    const streamed: string[] = []
    eventLog.subscribe(id, (entry) => {
      if (entry.type === 'message.delta' && 'text' in entry.data) streamed.push(String(entry.data['text']))
    })
    const service = start({ messagePolicy })
    await service.post(ALICE, id, 'tell me')
    await quiet(id)
    await service.post(ALICE, id, 'and now?')
    await quiet(id)
    expect(await conversation(id)).toEqual([
      'user: tell me',
      'system: The turn did not finish: an answer of the model was withheld by policy: it is forbidden.',
      'user: and now?',
      'agent: A good answer.',
    ])
    expect(streamed.join('')).toBe('A good answer.')
    expect(gate.ran).toEqual([])
    expect(JSON.stringify(await events(id))).not.toContain('a forbidden')
    expect((await events(id, 'message.denied'))[0]?.data).toMatchObject({ kind: 'answer', turn_id: expect.any(String) })
    expect(JSON.stringify(wire.requests[1]?.body)).not.toContain('a forbidden')
    // It was paid for, all the same.
    expect((await store.sessions.get(id))?.usage).toMatchObject({ input_tokens: 20, output_tokens: 10 })
  })
})

describe('messages', () => {
  it('are limited in number a minute, and in length', async () => {
    wire.answer(message([text('ok')]), message([text('ok')]))
    const id = await session()
    const quota = new Quota({ perMinutePerSession: 2, perMinutePerPrincipal: 0, concurrentPerSession: 0 }, Date.now, 'messages')
    const service = start({ messageQuota: quota, messageLimit: 20 })
    await expect(service.post(ALICE, id, 'x'.repeat(21))).rejects.toMatchObject({ code: 'invalid_argument' })
    await service.post(ALICE, id, 'one')
    await service.post(ALICE, id, 'two')
    await expect(service.post(ALICE, id, 'three')).rejects.toMatchObject({
      code: 'rate_limited',
      message: '2 messages a minute are allowed for this session',
      details: { retry_after_seconds: expect.any(Number) },
    })
    await quiet(id)
  })
})

describe('a turn that fails', () => {
  it('leaves a system message that says why, and an idle session that goes on with the next message', async () => {
    wire.answer(status(400, 'invalid_request_error', 'no such field'), message([text('Hello.')]))
    const id = await session()
    const service = start()
    await service.post(ALICE, id, 'first')
    await quiet(id)
    await service.post(ALICE, id, 'second')
    await quiet(id)
    expect(await conversation(id)).toEqual([
      'user: first',
      expect.stringMatching(/^system: The turn did not finish: .*400.*no such field/),
      'user: second',
      'agent: Hello.',
    ])
    expect((await events(id, 'turn.completed')).map((event) => event.data['status'])).toEqual(['failed', 'completed'])
    expect((await events(id, 'model.called'))[0]?.data).toMatchObject({ error: { kind: 'rejected' }, usage: null })
    expect(JSON.stringify(wire.requests[1]?.body.messages)).toContain('The turn did not finish')
  })

  it('fails for a model that there is not', async () => {
    const id = await session({ model: 'scripted/missing' })
    await start().post(ALICE, id, 'first')
    await quiet(id)
    expect((await conversation(id))[1]).toContain('there is no script missing')
  })

  it('is retried without telling anybody when a cut stream mends', async () => {
    const answer = message([text('Hel', 'lo.')])
    wire.answer(cut(answer, 'destroy', 'content_block_delta', 2), answer)
    const id = await session()
    const seen: string[] = []
    eventLog.subscribe(id, (entry) => {
      if (entry.type === 'message.delta') seen.push('reset' in entry.data ? 'RESET' : String(entry.data['text']))
    })
    await start().post(ALICE, id, 'first')
    await quiet(id)
    expect(await conversation(id)).toEqual(['user: first', 'agent: Hello.'])
    expect(seen.join('').split('RESET').at(-1)).toBe('Hello.')
    expect(seen).toContain('RESET')
    expect(
      (await events(id, 'model.called')).map(({ data }) => (data['error'] as { kind: string } | null)?.kind ?? 'ok'),
    ).toEqual(['cut_stream', 'ok'])
  })
})

describe('secrets', () => {
  it('are in no message, event, delta or transcript, whoever wrote them, in whatever pieces', async () => {
    wire.answer(
      message([text('The value is hunt', 'er2hun', 'ter2, see?'), toolUse('toolu_1', 'fs_read', { path: SECRET })]),
      message([text(`Again: ${SECRET}`)]),
    )
    gate.outcomes.push({ output: { content: `x${SECRET}x` } })
    files.contents.set('/session/code/instructions.md', `Use ${SECRET}.`)
    const id = await session({ secret_names: ['API_TOKEN'] })
    let streamed = ''
    eventLog.subscribe(id, (entry) => {
      if (entry.type === 'message.delta') streamed += entry.data['text'] ?? ''
    })
    await start().post(ALICE, id, `my password is ${SECRET}`)
    await quiet(id)
    const kept = JSON.stringify([
      await store.messages.all(id),
      await events(id),
      streamed,
      wire.requests.map((request) => request.body),
    ])
    expect(kept).not.toContain(SECRET)
    expect(streamed).toContain('The value is [secret:API_TOKEN], see?')
    expect((await store.messages.all(id))[0]?.content).toBe('my password is [secret:API_TOKEN]')
  })

  it('hold nothing back for good: an end that could have been the beginning of one is streamed when the answer is over', async () => {
    wire.answer(message([text('Go to the hunt')]))
    const id = await session({ secret_names: ['API_TOKEN'] })
    let streamed = ''
    eventLog.subscribe(id, (entry) => {
      if (entry.type === 'message.delta') streamed += entry.data['text'] ?? ''
    })
    await start().post(ALICE, id, 'where to?')
    await quiet(id)
    expect(streamed).toBe('Go to the hunt')
  })
})

describe('interrupt', () => {
  it('stops the model stream, and the conversation goes on', async () => {
    wire.answer(cut(message([text('a long', ' story')]), 'hang', 'content_block_delta', 2), message([text('Yes?')]))
    const id = await session()
    const service = start()
    await service.post(ALICE, id, 'tell me')
    await wire.received(1)
    expect(await service.interrupt(ALICE, id)).toMatchObject({ state: 'idle' })
    await service.post(ALICE, id, 'never mind')
    await quiet(id)
    expect(await conversation(id)).toEqual([
      'user: tell me',
      'system: The turn was interrupted by default/alice.',
      'user: never mind',
      'agent: Yes?',
    ])
    expect((await events(id, 'turn.interrupted'))[0]?.actor).toEqual({ kind: 'user', id: 'default/alice' })
  })

  it.each(['open', 'pending'] as const)('cancels a call that is %s; no call stays without an answer', async (state) => {
    wire.answer(
      message([toolUse('toolu_1', 'fs_write', { path: 'a' }), toolUse('toolu_2', 'fs_read', { path: 'b' })]),
      message([text('I stopped.')]),
    )
    gate.outcomes.push(state)
    const id = await session()
    const service = start()
    await service.post(ALICE, id, 'write')
    await until(async () => (await store.openInvocations.ofSession(id)).length === 1)
    expect(await service.interrupt(ALICE, id)).toMatchObject({ state: 'idle' })
    expect(await store.openInvocations.ofSession(id)).toEqual([])
    expect(gate.ran).toHaveLength(1)
    await service.post(ALICE, id, 'what happened?')
    await quiet(id)
    const results = wire.requests[1]?.body.messages.flatMap(({ content }) =>
      content.filter((part) => part.type === 'tool_result'),
    )
    expect(results?.map((part) => [part.tool_use_id, part.is_error])).toEqual([
      ['toolu_1', true],
      ['toolu_2', true],
    ])
  })

  it('goes on with the messages that wait', async () => {
    wire.answer(cut(message([text('a', 'b')]), 'hang', 'content_block_delta', 2), message([text('Second.')]))
    const id = await session()
    const service = start()
    await service.post(ALICE, id, 'first')
    await wire.received(1)
    await service.post(ALICE, id, 'second')
    await service.interrupt(ALICE, id)
    await quiet(id)
    expect(await conversation(id)).toContain('agent: Second.')
  })

  it('does nothing when no turn runs, and is not for others', async () => {
    const id = await session()
    const service = start()
    expect(await service.interrupt(ALICE, id)).toMatchObject({ state: 'idle' })
    expect(await events(id)).toEqual([])
    await expect(service.interrupt(BOB, id)).rejects.toMatchObject({ code: 'not_found' })
    await expect(service.interrupt(AGENT, id)).rejects.toMatchObject({ code: 'permission_denied' })
  })
})

describe('a session that is closed', () => {
  it('ends its turn and starts no other, and keeps its state', async () => {
    wire.answer(cut(message([text('a', 'b')]), 'hang', 'content_block_delta', 2))
    const id = await session()
    const service = start()
    await service.post(ALICE, id, 'first')
    await service.post(ALICE, id, 'second')
    await wire.received(1)
    await store.sessions.update(id, { state: 'closed' })
    await service.abandonSession(id)
    expect(await store.turns.ofSession(id)).toBeNull()
    expect((await store.sessions.get(id))?.state).toBe('closed')
    expect(wire.requests).toHaveLength(1)
    expect(await conversation(id)).toEqual(['user: first', 'user: second', 'system: The turn was interrupted.'])
    expect(await eventLog.verify(id)).toMatchObject({ valid: true })
    wire.answer(message([text('Second.')]))
    await store.sessions.update(id, { state: 'idle' })
    service.kick(id)
    await quiet(id)
    expect((await conversation(id)).at(-1)).toBe('agent: Second.')
  })

  it('is not acted in any more, also when nobody told the turn', async () => {
    wire.answer(message([toolUse('toolu_1', 'fs_write', { path: 'a' })]))
    const id = await session()
    const closing = start({
      models: new ModelProviders({
        default_model: null,
        anthropic: { api_key: 'key', base_url: wire.url },
        openai: null,
        compat: null,
        scripts_folder: null,
        settings: {},
      }),
      sandboxes: {
        ...dependencies().sandboxes,
        acquire: async () => {
          await store.sessions.update(id, { state: 'closed' })
          return files.acquire()
        },
      },
    })
    await closing.post(ALICE, id, 'first')
    await quiet(id)
    expect(gate.ran).toEqual([])
    expect((await store.sessions.get(id))?.state).toBe('closed')
  })

  it('has a turn that an earlier server left ended', async () => {
    const id = await session({ state: 'closed' })
    const turn = { id: 'trn_left', session_id: id, started_at: '', steps: 0, interrupted: false, transcript: [] }
    await store.turns.insert({ ...turn, spent: NOTHING_SPENT })
    await start().abandonSession(id)
    expect(await store.turns.ofSession(id)).toBeNull()
    expect((await events(id, 'turn.interrupted'))[0]?.data).toMatchObject({ turn_id: 'trn_left' })
  })
})

/** A log that lets so many transactions through and dies at the next, before or after its commit, and stays dead. */
class DyingLog extends EventLog {
  readonly #when: 'before' | 'after'
  #left: number
  dead = false

  constructor(of: Store, left: number, when: 'before' | 'after') {
    super(of)
    this.#left = left
    this.#when = when
  }

  override async transaction<T>(work: (tx: Store, emit: Emit) => Promise<T>): Promise<T> {
    if (this.dead) throw errors.storeUnavailable('killed')
    this.dead = --this.#left < 0
    if (this.dead && this.#when === 'before') throw errors.storeUnavailable('killed')
    const result = await super.transaction(work)
    if (this.dead) throw errors.storeUnavailable('killed')
    return result
  }
}

describe('a killed server', () => {
  const SCRIPT = {
    steps: [
      {
        say: 'First I look.',
        call: [
          { tool: 'fs.list', args: { path: '.' } },
          { tool: 'fs.read', args: { path: 'a' } },
        ],
      },
      { say: 'Now I write.', call: [{ tool: 'fs.write', args: { path: 'a' } }] },
      { expect: { tool: 'fs.write', status: 'succeeded' }, say: 'Written.' },
    ],
  }

  const ending = async (id: string) => ({
    conversation: await conversation(id),
    answered: (await events(id, 'turn.answered')).map((event) => event.data['step']),
    steps: (await events(id, 'turn.step')).map((event) => event.data['step']),
    calls: gate.ran.map((correlation) => correlation.slice(correlation.indexOf(':'))),
    turns: (await store.sessions.get(id))?.usage.turns,
    completed: (await events(id, 'turn.completed')).length,
    chain: (await eventLog.verify(id)).valid,
  })
  const whole = {
    conversation: ['user: write', 'agent: Written.'],
    answered: [1, 2],
    steps: [1, 2, 3],
    calls: [':1:0', ':1:1', ':2:0'],
    turns: 1,
    completed: 1,
    chain: true,
  }

  // Post, begin, three answers, three results, end, and the look for the next message: ten transactions. A killed post was not acknowledged.
  const points = Array.from({ length: 9 }, (_, n) => n + 1)
  const cases = points.flatMap((point) => (['before', 'after'] as const).map((when) => ({ point, when })))
  it.each(cases)(
    'loses and doubles nothing when killed after $point transactions, $when the next commits',
    async ({ point, when }) => {
      writeFileSync(join(folder, 'write.json'), JSON.stringify(SCRIPT))
      const id = await session({ model: 'scripted/write' })
      const log = new DyingLog(store, point, when)
      const first = new TurnService(dependencies({ eventLog: log }))
      await first.post(ALICE, id, 'write').catch(() => {})
      await until(() => log.dead)
      await first.stop()
      expect(log.dead).toBe(true)
      const second = start()
      await second.resume()
      await quiet(id)
      expect(await ending(id)).toEqual(whole)
    },
  )

  it('attaches to the call that was running, and does not make it again', async () => {
    wire.answer(message([toolUse('toolu_1', 'fs_write', { path: 'a' })]), message([text('Written.')]))
    gate.outcomes.push('open')
    const id = await session()
    const first = start()
    await first.post(ALICE, id, 'write')
    await until(async () => (await store.openInvocations.ofSession(id)).length === 1)
    await first.stop()
    expect(await store.openInvocations.ofSession(id)).toHaveLength(1)
    expect((await store.sessions.get(id))?.state).toBe('busy')
    const second = start()
    await second.resume()
    await until(() => gate.requests.length === 2)
    await gate.end('inv_1', { status: 'succeeded' })
    await quiet(id)
    expect(gate.ran).toHaveLength(1)
    expect(await conversation(id)).toEqual(['user: write', 'agent: Written.'])
    expect(wire.requests).toHaveLength(2)
  })

  it('had been asked to interrupt: the next one does, and cancels what ran', async () => {
    wire.answer(message([toolUse('toolu_1', 'fs_write', { path: 'a' })]))
    gate.outcomes.push('pending')
    const id = await session()
    const first = start()
    await first.post(ALICE, id, 'write')
    await until(async () => (await store.openInvocations.ofSession(id)).length === 1)
    await first.stop()
    const turn = await store.turns.ofSession(id)
    await store.turns.update(turn?.id as string, { interrupted: true })
    await start().resume()
    await quiet(id)
    expect(await store.openInvocations.ofSession(id)).toEqual([])
    expect(await conversation(id)).toEqual(['user: write', 'system: The turn was interrupted.'])
    expect((await events(id, 'turn.step')).map((event) => event.data['calls'])).toMatchObject([
      [{ result: { status: 'interrupted' } }],
    ])
  })

  it('that stops in order leaves the turn to the next one, in the middle of an answer too', async () => {
    const answer = message([text('Hel', 'lo.')])
    wire.answer(cut(answer, 'hang', 'content_block_delta', 2), answer)
    const id = await session()
    const first = start()
    await first.post(ALICE, id, 'hi')
    await wire.received(1)
    await first.stop()
    expect(await store.turns.ofSession(id)).not.toBeNull()
    expect(await conversation(id)).toEqual(['user: hi'])
    const resets: unknown[] = []
    eventLog.subscribe(id, (entry) => entry.type === 'message.delta' && 'reset' in entry.data && resets.push(entry.data))
    await start().resume()
    await quiet(id)
    expect(await conversation(id)).toEqual(['user: hi', 'agent: Hello.'])
    expect(resets).toHaveLength(1)
  })

  it('waits for a store that is away, and goes on', async () => {
    wire.answer(message([text('Hello.')]), message([text('Hello.')]))
    const id = await session()
    let away = true
    const service = start({
      eventLog: Object.assign(new EventLog(store), {
        transaction: (work: Parameters<EventLog['transaction']>[0]) => {
          if (away && wire.requests.length > 0) return Promise.reject(errors.storeUnavailable('away'))
          return eventLog.transaction(work)
        },
      }),
    })
    await service.post(ALICE, id, 'hi')
    await wire.received(1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    away = false
    await quiet(id)
    expect(await conversation(id)).toEqual(['user: hi', 'agent: Hello.'])
  })
})

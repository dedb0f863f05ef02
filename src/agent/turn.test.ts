import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  AnthropicWireServer,
  cut,
  message,
  status,
  text,
  thenError,
  toolUse,
  type WireAnswer,
} from '../../test/support/anthropic-wire-server.ts'
import { budgets, instructions, invocation, turnTask } from '../../test/support/turn-task.ts'
import { CloisterError, errors } from '../domain/errors.ts'
import { type Invocation, InvocationRefused } from '../domain/invocation.ts'
import { resolveModel } from './model-provider.ts'
import { runTurn } from './turn.ts'
import type { TurnStep } from './turn-step.ts'
import type { Progress, TurnTask } from './turn-task.ts'

let server: AnthropicWireServer

const setUp = (overrides: Partial<TurnTask> = {}) => turnTask(server.url, overrides)

beforeEach(async () => {
  server = await AnthropicWireServer.start()
})
afterEach(() => server.close())

/** The last state of each step that was persisted. */
function persistedSteps(progress: Progress[]): TurnStep[] {
  const steps = new Map<number, TurnStep>()
  for (const entry of progress) if ('step' in entry) steps.set(entry.step.step, entry.step)
  return [...steps.values()]
}

const failures = (progress: Progress[]) =>
  progress.flatMap((entry) => (entry.kind === 'model_failed' && entry.call.error ? [entry.call.error.kind] : []))

const lastMessage = (request: number) => server.requests[request]?.body.messages.at(-1)

describe('a turn against the Messages API', () => {
  it('streams text, and records usage with what came from the cache', async () => {
    server.answer(
      message([text('Hel', 'lo ', 'there')], {
        usage: { input_tokens: 12, output_tokens: 7, cache_read_input_tokens: 100, cache_creation_input_tokens: 30 },
      }),
    )
    const { task, seen } = setUp()
    expect(await runTurn(task)).toEqual({ status: 'completed', text: 'Hello there', note: null })
    expect(seen.streamed.get(1)).toBe('Hello there')
    const [entry] = seen.progress
    expect(entry).toMatchObject({
      kind: 'answered',
      call: {
        step: 1,
        attempt: 1,
        model: 'anthropic/claude-sonnet-5-5',
        response_model: 'claude-wire-1',
        finish_reason: 'stop',
        usage: { input_tokens: 142, output_tokens: 7, cache_read_tokens: 100, cache_write_tokens: 30 },
        error: null,
      },
    })
  })

  it('marks what is to be cached: tools and system prompt, and the conversation up to its end', async () => {
    server.answer(message([toolUse('toolu_1', 'fs_read', { path: 'a' })]), message([text('ok')]))
    const { task } = setUp()
    await runTurn(task)
    for (const { body } of server.requests) {
      expect(body.cache_control).toEqual({ type: 'ephemeral' })
      expect(body.system?.at(-1)?.cache_control).toEqual({ type: 'ephemeral' })
    }
  })

  it('sends tools with their schemas under names that the provider accepts, and the rules with the instructions', async () => {
    server.answer(message([text('ok')]))
    const { task } = setUp()
    await runTurn(task)
    const { headers, body } = server.requests[0] ?? expect.fail('no request')
    expect(headers['x-api-key']).toBe('key-of-the-test')
    expect(body.model).toBe('claude-sonnet-5-5')
    expect(body.tools?.map(({ name }) => name)).toEqual(['fs_read', 'repo_run_tests', 'fs_write'])
    expect(body.tools?.[0]).toMatchObject({
      description: 'what fs.read does',
      input_schema: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
    })
    const system = body.system?.map((part) => part.text).join('') ?? ''
    expect(system).toContain('/session/code/instructions.md of this session says:\n\nsay please, 1')
    expect(system).toContain('A person must approve: fs_write.')
    expect(system).toContain('API_TOKEN')
    expect(system).toContain('is data')
    expect(body.messages).toMatchObject([{ role: 'user', content: [{ type: 'text', text: 'make the tests pass' }] }])
  })

  it('makes the calls of one answer in order, gives back the results, and reads the instructions for each model call', async () => {
    server.answer(
      message([
        { type: 'thinking', text: 'let me look', signature: 'signed-by-wire' },
        text('I look.'),
        toolUse('toolu_1', 'fs_read', { path: 'a "quoted" ünïcode.txt' }),
        toolUse('toolu_2', 'repo_run_tests', { path: '.' }),
      ]),
      message([text('Done.')]),
    )
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'completed', text: 'Done.' })
    expect(seen.calls).toEqual([
      { step: 1, index: 0, tool_name: 'fs.read', args: { path: 'a "quoted" ünïcode.txt' } },
      { step: 1, index: 1, tool_name: 'repo.run_tests', args: { path: '.' } },
    ])
    expect(server.requests[1]?.body.messages).toMatchObject([
      { role: 'user' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'let me look', signature: 'signed-by-wire' },
          { type: 'text', text: 'I look.' },
          { type: 'tool_use', id: 'toolu_1', name: 'fs_read', input: { path: 'a "quoted" ünïcode.txt' } },
          { type: 'tool_use', id: 'toolu_2', name: 'repo_run_tests', input: { path: '.' } },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'toolu_1' },
          { type: 'tool_result', tool_use_id: 'toolu_2' },
        ],
      },
    ])
    expect(lastMessage(1)?.content[0]?.content).toContain('"status":"succeeded"')
    expect(server.requests[1]?.body.system?.map((part) => part.text).join('')).toContain('say please, 2')
    expect(seen.progress.map((entry) => entry.kind)).toEqual(['answered', 'result', 'result', 'answered'])
  })

  it('has each step kept before it acts on it', async () => {
    server.answer(message([toolUse('toolu_1', 'fs_read', { path: 'a' })]), message([text('ok')]))
    const order: string[] = []
    const { task } = setUp()
    const { invoke } = task
    await runTurn({
      ...task,
      persist: async (progress) => {
        await new Promise((resolve) => setTimeout(resolve, 20))
        order.push(progress.kind)
      },
      invoke: (call) => {
        order.push('invoke')
        return invoke(call)
      },
      readInstructions: async () => {
        order.push('model')
        return instructions('')
      },
    })
    expect(order).toEqual(['model', 'answered', 'invoke', 'result', 'model', 'answered'])
  })

  const whole = message([text('I will ', 'read it.'), toolUse('toolu_1', 'fs_read', { path: 'a' })])
  const retried: { name: string; answers: WireAnswer[]; kinds: string[]; slept?: number[] }[] = [
    {
      name: '429 with retry-after is waited for as long as asked',
      answers: [status(429, 'rate_limit_error', 'slow down', { 'retry-after': '7' })],
      kinds: ['rate_limited'],
      slept: [7000],
    },
    {
      name: '429 without retry-after backs off, longer each time',
      answers: [
        status(429, 'rate_limit_error', 'slow'),
        status(429, 'rate_limit_error', 'slow'),
        status(429, 'rate_limit_error', 'slow'),
      ],
      kinds: ['rate_limited', 'rate_limited', 'rate_limited'],
      slept: [50, 100, 200],
    },
    { name: '529', answers: [status(529, 'overloaded_error', 'Overloaded')], kinds: ['overloaded'] },
    { name: '500', answers: [status(500, 'api_error', 'Internal server error')], kinds: ['provider_error'] },
    {
      name: 'an overload as the first event of a stream',
      answers: [thenError({ kind: 'stream', events: [], end: 'close' }, 'overloaded_error', 'Overloaded')],
      kinds: ['overloaded'],
    },
    {
      name: 'an overload in the middle of a stream',
      answers: [thenError(cut(whole, 'close', 'content_block_delta', 2), 'overloaded_error', 'Overloaded')],
      kinds: ['overloaded'],
    },
    {
      name: 'a socket that dies in the middle of the text',
      answers: [cut(whole, 'destroy', 'content_block_delta', 2)],
      kinds: ['cut_stream'],
    },
    {
      name: 'a socket that dies in the middle of a call',
      answers: [cut(whole, 'destroy', 'content_block_stop', 2)],
      kinds: ['cut_stream'],
    },
    { name: 'a socket that dies after a whole call', answers: [cut(whole, 'destroy', 'message_delta')], kinds: ['cut_stream'] },
    {
      name: 'an orderly but early end in the text',
      answers: [cut(whole, 'close', 'content_block_delta', 2)],
      kinds: ['cut_stream'],
    },
    {
      name: 'an orderly but early end after a whole call',
      answers: [cut(whole, 'close', 'message_delta')],
      kinds: ['cut_stream'],
    },
    { name: 'an orderly end without message_stop', answers: [cut(whole, 'close', 'message_stop')], kinds: ['cut_stream'] },
    {
      name: 'an orderly end before anything was said',
      answers: [cut(whole, 'close', 'content_block_start')],
      kinds: ['cut_stream'],
    },
    { name: 'an empty body', answers: [{ kind: 'stream', events: [], end: 'close' }], kinds: ['cut_stream'] },
    { name: 'an empty answer', answers: [message([])], kinds: ['empty_answer'] },
    { name: 'white space alone', answers: [message([text('\n', ' ')])], kinds: ['empty_answer'] },
    {
      name: 'a stop for a tool call that is not there',
      answers: [message([], { stop_reason: 'tool_use' })],
      kinds: ['empty_answer'],
    },
    {
      name: 'an event that is not of the protocol',
      answers: [
        { kind: 'stream', end: 'close', events: [{ event: 'message_start', data: { type: 'message_start', message: 7 } }] },
      ],
      kinds: ['invalid_response'],
    },
  ]
  it.each(retried)('repeats the step after $name, without doubling text or calls', async ({ answers, kinds, slept }) => {
    server.answer(...answers, whole, message([text('Done.')]))
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'completed', text: 'Done.' })
    expect(failures(seen.progress)).toEqual(kinds)
    if (slept) expect(seen.slept).toEqual(slept)
    expect(seen.calls).toHaveLength(1)
    expect(seen.streamed.get(1)).toBe('I will read it.')
    expect(persistedSteps(seen.progress)[0]?.text).toBe('I will read it.')
    expect(server.requests).toHaveLength(answers.length + 2)
    expect(server.unexpected).toEqual([])
  })

  it('says to the model that its last answer was empty, and gives up after the second', async () => {
    server.answer(message([]), message([]))
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'failed', kind: 'empty_answer' })
    expect(failures(seen.progress)).toEqual(['empty_answer', 'empty_answer'])
    expect(JSON.stringify(lastMessage(1))).toContain('your last answer was empty')
  })

  it('repeats when nothing comes for too long', async () => {
    server.answer(cut(whole, 'hang', 'content_block_delta', 2), message([text('Done.')]))
    const { task, seen } = setUp({ stall_ms: 150 })
    expect(await runTurn(task)).toMatchObject({ status: 'completed', text: 'Done.' })
    expect(failures(seen.progress)).toEqual(['stalled'])
  })

  it('fails after bounded tries, and says why', async () => {
    server.answer(...Array.from({ length: 9 }, () => status(529, 'overloaded_error', 'Overloaded')))
    const { task, seen } = setUp()
    expect(await runTurn(task)).toEqual({
      status: 'failed',
      kind: 'overloaded',
      reason: 'the model provider is overloaded (529): Overloaded (4 tries)',
    })
    expect(server.requests).toHaveLength(4)
    expect(seen.progress.at(-1)).toMatchObject({ kind: 'model_failed', call: { attempt: 4, error: { retry_in_ms: null } } })
  })

  it('leaves nobody with half an answer when it fails', async () => {
    server.answer(...Array.from({ length: 4 }, () => cut(whole, 'close', 'content_block_delta', 2)))
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'failed', kind: 'cut_stream' })
    expect(seen.streamed.get(1)).toBe('')
    expect(persistedSteps(seen.progress)).toEqual([])
  })

  it.each([
    [401, 'authentication_error', 'rejected'],
    [400, 'invalid_request_error', 'rejected'],
    [404, 'not_found_error', 'rejected'],
  ])('does not repeat what would be refused again: %i', async (code, type, kind) => {
    server.answer(status(code, type, 'because'))
    const { task } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'failed', kind, reason: expect.stringContaining('because') })
    expect(server.requests).toHaveLength(1)
  })

  it('does not wait for longer than a turn may take', async () => {
    server.answer(status(429, 'rate_limit_error', 'come back in a while', { 'retry-after': '300' }))
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'failed', kind: 'rate_limited' })
    expect(seen.slept).toEqual([])
  })

  it('says that a provider cannot be reached, and not where it is', async () => {
    const { task } = setUp()
    await server.close()
    const outcome = await runTurn(task)
    expect(outcome).toMatchObject({ status: 'failed', kind: 'unreachable' })
    expect(JSON.stringify(outcome)).not.toContain('127.0.0.1')
  })

  it('ends the turn when the provider declines', async () => {
    server.answer(message([text('I can')], { stop_reason: 'refusal' }))
    const { task } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'failed', kind: 'refused' })
  })

  it('keeps an answer that was cut at the output limit, and says so', async () => {
    server.answer(message([text('A long stor')], { stop_reason: 'max_tokens' }))
    const { task } = setUp()
    expect(await runTurn(task)).toEqual({
      status: 'completed',
      text: 'A long stor',
      note: expect.stringContaining('output limit'),
    })
  })

  it.each([
    ['broken JSON', '{"path": "a', 'Unterminated string'],
    ['an array', '["a"]', 'not an object'],
    ['a number', '7', 'not an object'],
    ['nested without end', `{"a":${'['.repeat(4000)}${']'.repeat(4000)}}`, 'nested deeper'],
  ])('does not make a call whose input is %s: the model is told, and shown what it wrote', async (_, json, reason) => {
    server.answer(message([{ type: 'tool_use', id: 'toolu_1', name: 'fs_read', json: [json] }]), message([text('Sorry.')]))
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'completed', text: 'Sorry.' })
    expect(seen.calls).toEqual([])
    const [, call, result] = server.requests[1]?.body.messages ?? []
    expect(JSON.stringify(call?.content[0]?.input)).toContain(JSON.stringify(json).slice(1, -1))
    expect(result?.content[0]).toMatchObject({ is_error: true, tool_use_id: 'toolu_1' })
    expect(result?.content[0]?.content).toContain(reason)
  })

  it('takes no answer with calls without end, and makes only so many of one answer', async () => {
    const calls = (count: number) =>
      message(Array.from({ length: count }, (_, n) => toolUse(`toolu_${n}`, 'fs_read', { path: `${n}` })))
    server.answer(calls(257))
    const first = setUp()
    expect(await runTurn(first.task)).toMatchObject({ status: 'failed', kind: 'invalid_response' })
    expect(first.seen.calls).toEqual([])
    server.answer(calls(40), message([text('ok')]))
    const second = setUp()
    expect(await runTurn(second.task)).toMatchObject({ status: 'completed' })
    expect(second.seen.calls).toHaveLength(32)
    expect(lastMessage(2)?.content.map((part) => part.is_error ?? false)).toEqual([
      ...Array(32).fill(false),
      ...Array(8).fill(true),
    ])
  })

  it.each(['', '/', '/v1', '/v1/'])('finds the service at an address that ends in %j', async (end) => {
    server.answer(message([text('ok')]))
    const anthropic = { api_key: 'k', base_url: `${server.url}${end}` }
    const { task } = setUp({
      model: resolveModel('anthropic/claude-x', {
        default_model: null,
        anthropic,
        openai: null,
        compat: null,
        scripts_folder: null,
        settings: {},
      }),
    })
    expect(await runTurn(task)).toMatchObject({ status: 'completed' })
  })

  it('takes a call without any input as one without arguments', async () => {
    server.answer(message([{ type: 'tool_use', id: 'toolu_1', name: 'repo_run_tests', json: [] }]), message([text('ok')]))
    const { task, seen } = setUp()
    await runTurn(task)
    expect(seen.calls).toMatchObject([{ tool_name: 'repo.run_tests', args: {} }])
  })

  it('does not make a call to a tool that was not offered', async () => {
    server.answer(message([toolUse('toolu_1', 'shell_exec', { command: 'id' })]), message([text('ok')]))
    const { task, seen } = setUp()
    await runTurn(task)
    expect(seen.calls).toEqual([])
    expect(lastMessage(1)?.content[0]).toMatchObject({ is_error: true, content: expect.stringContaining('there is no tool') })
  })

  it('tells calls with one id apart', async () => {
    server.answer(
      message([toolUse('same', 'fs_read', { path: 'a' }), toolUse('same', 'fs_read', { path: 'b' })]),
      message([text('ok')]),
    )
    const { task } = setUp()
    await runTurn(task)
    const ids = server.requests[1]?.body.messages[1]?.content.map((part) => part.id)
    expect(new Set(ids).size).toBe(2)
    expect(lastMessage(1)?.content.map((part) => part.tool_use_id)).toEqual(ids)
  })

  it('gives refusals to the model with code, rule and what would be accepted', async () => {
    server.answer(message([toolUse('toolu_1', 'fs_read', { path: '/etc/passwd' })]), message([text('I may not.')]))
    const { task } = setUp({
      invoke: async (call) => {
        const denial = errors.policyDenied('paths', '"/etc/passwd" leaves the workspace: use a path under /session/code')
        throw new InvocationRefused(denial, invocation(call, { status: 'denied' }))
      },
    })
    expect(await runTurn(task)).toMatchObject({ status: 'completed' })
    const result = lastMessage(1)?.content[0]
    expect(result?.is_error).toBe(true)
    expect(JSON.parse(result?.content as string)).toEqual({
      status: 'denied',
      error: {
        code: 'policy_denied',
        rule: 'paths',
        message: '"/etc/passwd" leaves the workspace: use a path under /session/code',
      },
    })
  })

  it.each([
    ['failed', { status: 'failed', exit_code: 1, error: { code: 'tests_failed', message: '2 tests failed', retryable: false } }],
    [
      'denied',
      { status: 'denied', error: { code: 'approval_required', message: 'demo/bob said no: not on a Friday', retryable: false } },
    ],
  ] as const)('gives the outcome of a call that %s as an error', async (_, fields) => {
    server.answer(message([toolUse('toolu_1', 'repo_run_tests', { path: '.' })]), message([text('ok')]))
    const { task } = setUp({
      invoke: async (call) => ({ invocation: invocation(call, fields as Partial<Invocation>), waited: null }),
    })
    await runTurn(task)
    const result = lastMessage(1)?.content[0]
    expect(result?.is_error).toBe(true)
    expect(result?.content).toContain(fields.error.message)
    expect(result?.content).toContain(`"status":"${fields.status}"`)
  })

  it('does not take a store that is away for an answer', async () => {
    server.answer(message([toolUse('toolu_1', 'fs_read', { path: 'a' })]))
    const { task, seen } = setUp({
      invoke: async () => {
        throw errors.storeUnavailable('the database is away')
      },
    })
    await expect(runTurn(task)).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(persistedSteps(seen.progress)).toMatchObject([{ calls: [{ result: null }] }])
  })

  it('cuts a long output and names where the whole is', async () => {
    server.answer(message([toolUse('toolu_1', 'fs_read', { path: 'a' })]), message([text('ok')]))
    const long = {
      output: { text: `begin ${'x'.repeat(100_000)} end` },
      output_ref: 'art_1',
      truncated: true,
    } as Partial<Invocation>
    const { task } = setUp({ invoke: async (call) => ({ invocation: invocation(call, long), waited: null }) })
    await runTurn(task)
    const content = lastMessage(1)?.content[0]?.content as string
    expect(content.length).toBeLessThan(34_000)
    expect(content).toContain('begin')
    expect(content).toContain('artifact art_1')
    expect(content).toContain('characters left out')
  })

  it('lets no secret into what is kept, and not into the next prompt', async () => {
    server.answer(
      message([
        { type: 'thinking', text: 'the token is hunter2hunter2', signature: 'signed' },
        text('It is hunter2hunter2.'),
        toolUse('toolu_1', 'fs_read', { path: 'hunter2hunter2' }),
      ]),
      message([text('ok')]),
    )
    const { task, seen } = setUp({
      invoke: async (call) => {
        seen.calls.push(call)
        return { invocation: invocation(call, { output: { content: 'hunter2hunter2' } }), waited: null }
      },
    })
    await runTurn(task)
    expect(JSON.stringify(seen.progress)).not.toContain('hunter2hunter2')
    expect(JSON.stringify(seen.progress)).toContain('[secret:API_TOKEN]')
    expect(JSON.stringify(seen.calls)).not.toContain('hunter2hunter2')
    expect(JSON.stringify(server.requests[1]?.body)).not.toContain('hunter2hunter2')
  })

  it('goes on where it was: calls with results are not made again, those without are', async () => {
    server.answer(message([text('Done.')]))
    const call = (id: string, result: TurnStep['calls'][number]['result']) => ({
      id,
      tool_name: 'fs.read',
      args: { path: id },
      malformed: null,
      invocation_id: null,
      result,
    })
    const step: TurnStep = {
      step: 1,
      model: 'anthropic/claude-sonnet-5-5',
      text: 'I look.',
      calls: [call('first', { ok: true, status: 'succeeded', text: 'kept' }), call('second', null)],
      finish_reason: 'tool-calls',
      input_tokens: 1,
      output_tokens: 1,
      prompt_chars: 0,
    }
    const { task, seen } = setUp({ steps: [step] })
    expect(await runTurn(task)).toMatchObject({ status: 'completed', text: 'Done.' })
    expect(seen.calls).toEqual([{ step: 1, index: 1, tool_name: 'fs.read', args: { path: 'second' } }])
    expect(lastMessage(0)?.content).toMatchObject([{ tool_use_id: 'first', content: 'kept' }, { tool_use_id: 'second' }])
  })

  it('does not call the model again for a turn that had answered', async () => {
    const step = {
      step: 1,
      model: 'm',
      text: 'All done.',
      calls: [],
      finish_reason: 'stop',
      input_tokens: 1,
      output_tokens: 1,
      prompt_chars: 0,
    }
    const { task } = setUp({ steps: [step] })
    expect(await runTurn(task)).toEqual({ status: 'completed', text: 'All done.', note: null })
    expect(server.requests).toEqual([])
  })

  it('stops at the limit of steps', async () => {
    server.answer(...Array.from({ length: 9 }, (_, n) => message([toolUse(`toolu_${n}`, 'fs_read', { path: 'a' })])))
    const { task, seen } = setUp({ budgets: budgets({ steps: 3 }) })
    expect(await runTurn(task)).toMatchObject({ status: 'limited', reason: expect.stringContaining('at most 3 model calls') })
    expect(seen.calls).toHaveLength(3)
    expect(server.requests).toHaveLength(3)
  })

  it('stops at the limit of time, also in the middle of an answer', async () => {
    server.answer(cut(whole, 'hang', 'content_block_delta', 2))
    const { task, seen } = setUp({ budgets: budgets({ seconds: 0.3 }), stall_ms: 60_000 })
    expect(await runTurn(task)).toMatchObject({ status: 'limited', reason: expect.stringContaining('0.3 s') })
    expect(failures(seen.progress)).toEqual(['time_limit'])
  })

  it('does not count the time that a person takes to decide', async () => {
    server.answer(message([toolUse('toolu_1', 'fs_write', { path: 'a' })]), message([text('ok')]))
    let now = Date.parse('2026-01-01T00:00:00Z')
    const day = 24 * 3600 * 1000
    const { task, seen } = setUp({
      now: () => new Date(now),
      invoke: async (call) => {
        const from = now
        now += day + 3000
        return { invocation: invocation(call), waited: { from, to: from + day } }
      },
    })
    expect(await runTurn(task)).toMatchObject({ status: 'completed' })
    // Not even in what is stored with the result: nothing may come after it before a restart.
    expect(seen.progress.map(({ kind, spent }) => [kind, spent.seconds])).toEqual([
      ['answered', 0],
      ['result', 3],
      ['answered', 3],
    ])
  })

  it('does not count twice what two people took at the same time, and counts what was done after they decided', async () => {
    server.answer(message(['a', 'b', 'c'].map((path) => toolUse(`toolu_${path}`, 'fs_read', { path }))), message([text('ok')]))
    let now = 0
    // All three ask at once; c has its own wait, and the calls end one after the other.
    const waits = [
      { from: 0, to: 60_000 },
      { from: 10_000, to: 90_000 },
      { from: 100_000, to: 130_000 },
    ]
    const ended = [60_000, 95_000, 140_000]
    const gates = [0, 1, 2].map(() => Promise.withResolvers<void>())
    gates[0]?.resolve()
    const { task, seen } = setUp({
      now: () => new Date(now),
      invoke: async (call) => {
        await gates[call.index]?.promise
        now = ended[call.index] as number
        return { invocation: invocation(call), waited: waits[call.index] ?? null }
      },
    })
    const { persist } = task
    task.persist = async (progress) => {
      await persist(progress)
      if (progress.kind === 'result') gates[progress.step.calls.filter((call) => call.result).length]?.resolve()
    }
    expect(await runTurn(task)).toMatchObject({ status: 'completed' })
    const results = seen.progress.filter(({ kind }) => kind === 'result')
    // 60 s, 90 s and 120 s of them were waited.
    expect(results.map(({ spent }) => spent.seconds)).toEqual([0, 5, 20])
  })

  it.each(['while the model streams', 'while a call runs', 'while it waits for the next try'])(
    'stops at once when aborted %s',
    async (when) => {
      const { task, abort } = setUp()
      const reason = new Error('enough')
      if (when === 'while the model streams') {
        server.answer(cut(whole, 'hang', 'content_block_delta', 2))
        task.onDelta = (delta) => 'text' in delta && abort.abort(reason)
      } else if (when === 'while a call runs') {
        server.answer(whole)
        task.invoke = async () => {
          abort.abort(reason)
          throw reason
        }
      } else {
        server.answer(status(529, 'overloaded_error', 'Overloaded'))
        task.sleep = async () => {
          abort.abort(reason)
          throw reason
        }
      }
      await expect(runTurn(task)).rejects.toBe(reason)
      expect(server.requests).toHaveLength(1)
    },
  )

  it('throws what is not an answer of the gate', async () => {
    server.answer(whole)
    const bug = new TypeError('undefined is not a function')
    const { task } = setUp({ invoke: () => Promise.reject(bug) })
    await expect(runTurn(task)).rejects.toBe(bug)
    expect(bug).not.toBeInstanceOf(CloisterError)
  })
})

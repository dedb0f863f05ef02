import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Block, DIALECTS, type ModelServer, modelAt } from '../../../test/support/model-dialects.ts'
import type { WireAnswer } from '../../../test/support/model-wire-server.ts'
import { invocation, turnTask } from '../../../test/support/turn-task.ts'
import { runTurn } from '../turn.ts'
import { turnStepSchema } from '../turn-step.ts'
import type { Progress, TurnTask } from '../turn-task.ts'

/** What a turn relies on, whichever provider answers: the same cases in every wire format. */

const said = (...chunks: string[]): Block => ({ type: 'text', chunks })
const call = (id: string, name: string, input: unknown): Block => ({
  type: 'call',
  id,
  name,
  json: JSON.stringify(input).match(/.{1,5}/gsu) ?? [],
})
const failures = (progress: Progress[]) =>
  progress.flatMap((entry) => (entry.kind === 'model_failed' && entry.call.error ? [entry.call.error.kind] : []))

describe.each(DIALECTS.map((dialect) => [dialect.provider, dialect] as const))('%s', (provider, dialect) => {
  let server: ModelServer
  beforeEach(async () => {
    server = await dialect.start()
  })
  afterEach(() => server.close())

  const setUp = (overrides: Partial<TurnTask> = {}) => turnTask('', { model: modelAt(dialect, server.url), ...overrides })
  const whole = () =>
    dialect.message([said('I will ', 'read it.'), call('call_1', 'fs_read', { path: 'a "quoted" ünïcode.txt' })])
  const cutAt = (answer: WireAnswer, events: number, end: 'close' | 'destroy' | 'hang'): WireAnswer => {
    if (answer.kind !== 'stream') throw new Error('only a stream can be cut')
    return { ...answer, events: answer.events.slice(0, events), end }
  }

  it('streams text, and counts what came from the cache', async () => {
    server.answer(
      dialect.message([said('Hel', 'lo ', 'there')], { usage: { input_tokens: 142, output_tokens: 7, cached_tokens: 100 } }),
    )
    const { task, seen } = setUp()
    expect(await runTurn(task)).toEqual({ status: 'completed', text: 'Hello there', note: null })
    expect(seen.streamed.get(1)).toBe('Hello there')
    expect(seen.progress[0]).toMatchObject({
      call: {
        model: `${provider}/wire-model`,
        response_model: expect.stringContaining('wire'),
        finish_reason: 'stop',
        usage: { input_tokens: 142, output_tokens: 7, cache_read_tokens: 100 },
      },
    })
  })

  it('is given system prompt, tools under names that it accepts, their schemas, and the message', async () => {
    server.answer(dialect.message([said('ok')]))
    const { task } = setUp()
    await runTurn(task)
    const [asked] = server.asked()
    expect(asked).toMatchObject({ model: 'wire-model', user: ['make the tests pass'], said: [], results: [] })
    expect(asked?.system).toContain('say please, 1')
    expect(asked?.tools.map(({ name }) => name)).toEqual(['fs_read', 'repo_run_tests', 'fs_write'])
    for (const { name, schema } of asked?.tools ?? []) {
      expect(name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/)
      expect(schema).toMatchObject({
        type: 'object',
        properties: { path: { type: 'string' } },
        required: ['path'],
        additionalProperties: false,
      })
    }
  })

  it('makes several calls in one answer, and gets their results by their ids', async () => {
    server.answer(
      dialect.message([
        said('Both.'),
        call('call_1', 'fs_read', { path: 'a "quoted" ünïcode.txt' }),
        call('call_2', 'repo_run_tests', { path: '.' }),
      ]),
      dialect.message([said('Done.')]),
    )
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'completed', text: 'Done.' })
    expect(seen.calls).toMatchObject([
      { index: 0, tool_name: 'fs.read', args: { path: 'a "quoted" ünïcode.txt' } },
      { index: 1, tool_name: 'repo.run_tests', args: { path: '.' } },
    ])
    const [, second] = server.asked()
    expect(second?.said).toMatchObject([
      {
        text: 'Both.',
        calls: [
          { id: 'call_1', name: 'fs_read', input: { path: 'a "quoted" ünïcode.txt' } },
          { id: 'call_2', name: 'repo_run_tests', input: { path: '.' } },
        ],
      },
    ])
    expect(second?.results.map(({ id }) => id)).toEqual(['call_1', 'call_2'])
    for (const { text } of second?.results ?? []) expect(text).toContain('"status":"succeeded"')
  })

  it('gets its own thinking back while the turn lasts', async () => {
    server.answer(
      dialect.message([
        { type: 'thinking', text: 'let me look', encrypted: 'sealed-by-wire' },
        call('call_1', 'fs_read', { path: 'a' }),
      ]),
      dialect.message([said('Done.')]),
    )
    const { task } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'completed' })
    const [, second] = server.asked()
    // A compatible server has no seal: it has the thinking as it was.
    expect(second?.said[0]?.thinking).toBe(provider === 'compat' ? 'let me look' : 'let me look|sealed-by-wire')
  })

  it('gets its thinking back where it stood, between text and calls, also what only it can read, and over a restart', async () => {
    server.answer(
      dialect.message([
        { type: 'thinking', text: 'look first', encrypted: 'sealed-1' },
        said('First I look. '),
        { type: 'thinking', text: '', encrypted: 'sealed-2' },
        said('Then I see.'),
        { type: 'thinking', text: 'and now', encrypted: 'sealed-3' },
        call('call_1', 'fs_read', { path: 'a' }),
      ]),
      dialect.message([said('Done.')]),
      dialect.message([said('Done.')]),
    )
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'completed' })
    const done = seen.progress.find(({ kind }) => kind === 'result')
    const stored = turnStepSchema.parse(JSON.parse(JSON.stringify(done && 'step' in done && done.step)))
    expect(await runTurn(setUp({ steps: [stored] }).task)).toMatchObject({ status: 'completed' })
    const [, second, third] = server.asked()
    expect(third?.said).toEqual(second?.said)
    const [answer] = second?.said ?? []
    // A compatible server's format has no order, and no seal: it has all of its thinking, and all of its text.
    if (provider === 'compat') expect(answer).toMatchObject({ thinking: 'look firstand now', text: 'First I look. Then I see.' })
    else
      expect(answer?.order).toEqual([
        'thinking look first|sealed-1',
        'text First I look. ',
        'thinking |sealed-2',
        'text Then I see.',
        'thinking and now|sealed-3',
        'call call_1',
      ])
  })

  it('gets none of the thinking of an answer in which a secret stood: a part of what is signed together is refused', async () => {
    server.answer(
      dialect.message([
        { type: 'thinking', text: 'look first', encrypted: 'sealed-1' },
        said('I look.'),
        { type: 'thinking', text: 'it is hunter2hunter2', encrypted: 'sealed-2' },
        call('call_1', 'fs_read', { path: 'a' }),
      ]),
      dialect.message([said('Done.')]),
    )
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'completed' })
    expect(server.asked()[1]?.said[0]).toMatchObject({ thinking: '', text: 'I look.', calls: [{ id: 'call_1' }] })
    expect(JSON.stringify([seen.progress, server.asked()])).not.toContain('hunter2')
  })

  it('is told of a refused call as an error, with its code', async () => {
    server.answer(whole(), dialect.message([said('Sorry.')]))
    const error = { code: 'not_found' as const, message: 'no such file: look with fs.list', retryable: false }
    const { task } = setUp({
      invoke: async (made) => ({ invocation: invocation(made, { status: 'failed', output: null, error }), waited: null }),
    })
    await runTurn(task)
    expect(server.asked()[1]?.results[0]?.text).toContain('no such file: look with fs.list')
  })

  it.each([
    ['cut off', '{"path": "a'],
    ['no JSON', 'path=a'],
    ['a list', '["a"]'],
  ])('makes no call whose arguments are %s; it is told why, and sees what it wrote', async (_, json) => {
    server.answer(
      dialect.message([{ type: 'call', id: 'call_1', name: 'fs_read', json: [json] }]),
      dialect.message([said('Sorry.')]),
    )
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'completed', text: 'Sorry.' })
    expect(seen.calls).toEqual([])
    const [, second] = server.asked()
    expect(JSON.stringify(second?.said[0]?.calls[0]?.input)).toContain(JSON.stringify(json).slice(1, -1))
    expect(second?.results[0]).toMatchObject({ id: 'call_1', text: expect.stringContaining('is not a JSON object') })
  })

  const end = () => dialect.message([said('Done.')])
  const retried: [string, (how: { text: number }) => WireAnswer[], string[]][] = [
    ['429', () => [dialect.status(429, 'slow down', { 'retry-after': '7' })], ['rate_limited']],
    ['500', () => [dialect.status(500, 'broken')], ['provider_error']],
    ['503', () => [dialect.status(503, 'busy')], ['overloaded']],
    ['a stream that ends before its text', ({ text }) => [cutAt(whole(), text, 'close')], ['cut_stream']],
    ['a stream that ends in its text', ({ text }) => [cutAt(whole(), text + 1, 'close')], ['cut_stream']],
    ['a connection that breaks in its text', ({ text }) => [cutAt(whole(), text + 1, 'destroy')], ['cut_stream']],
    [
      'an error told in the stream',
      ({ text }) => [dialect.brokenOff(whole(), text + 1)],
      [provider === 'anthropic' ? 'overloaded' : 'provider_error'],
    ],
    ['an answer without anything in it', () => [dialect.message([])], ['empty_answer']],
  ]
  it.each(retried)('%s is tried again; no text and no call comes twice', async (_, answers, kinds) => {
    server.answer(...answers({ text: dialect.beforeText }), whole(), end())
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'completed', text: 'Done.' })
    expect(failures(seen.progress)).toEqual(kinds)
    expect(seen.calls).toHaveLength(1)
    expect([seen.streamed.get(1), seen.streamed.get(2)]).toEqual(['I will read it.', 'Done.'])
    if (kinds[0] === 'rate_limited') expect(seen.slept).toEqual([7000])
  })

  it('is given up when nothing comes for too long, and tried again', async () => {
    server.answer(cutAt(whole(), dialect.beforeText + 1, 'hang'), whole(), end())
    const { task, seen } = setUp({ stall_ms: 500 })
    expect(await runTurn(task)).toMatchObject({ status: 'completed', text: 'Done.' })
    expect(failures(seen.progress)).toEqual(['stalled'])
    expect(seen.streamed.get(1)).toBe('I will read it.')
  })

  it('that declines ends the turn, and is not asked again', async () => {
    server.answer(dialect.message([{ type: 'refusal', text: 'I cannot help with that.' }]))
    const { task } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'failed', kind: 'refused' })
    expect(server.asked()).toHaveLength(1)
  })

  it('that refuses the request ends the turn, with what it said', async () => {
    server.answer(dialect.status(400, 'no such field: foo'))
    const { task } = setUp()
    expect(await runTurn(task)).toMatchObject({
      status: 'failed',
      kind: 'rejected',
      reason: expect.stringContaining('no such field: foo'),
    })
  })

  it('says when the prompt is too long for it', async () => {
    server.answer(dialect.status(400, "This model's maximum context length is 10 tokens. prompt is too long"), end())
    const { task, seen } = setUp()
    expect(await runTurn(task)).toMatchObject({ status: 'failed', kind: 'context_exceeded' })
    expect(failures(seen.progress)).toEqual(['context_exceeded'])
  })

  it('that was cut at its own limit is believed, and the user told', async () => {
    server.answer(dialect.message([said('It is a long ')], { cut_at_limit: true }))
    const { task } = setUp()
    expect(await runTurn(task)).toEqual({
      status: 'completed',
      text: 'It is a long ',
      note: "the answer was cut at the model's output limit",
    })
  })
})

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AnthropicWireServer, message, status, text, toolUse } from '../../test/support/anthropic-wire-server.ts'
import { budgets, invocation, turnTask } from '../../test/support/turn-task.ts'
import { NO_BUDGET, NOTHING_SPENT } from '../domain/budget.ts'
import type { Invocation } from '../domain/invocation.ts'
import { resolveModel } from './model-provider.ts'
import { runTurn } from './turn.ts'
import type { Progress, ToolCall, TurnTask } from './turn-task.ts'

let server: AnthropicWireServer
beforeEach(async () => {
  server = await AnthropicWireServer.start()
})
afterEach(() => server.close())

const setUp = (overrides: Partial<TurnTask> = {}) => turnTask(server.url, overrides)
const model = (id: string, settings = {}) =>
  resolveModel(`anthropic/${id}`, {
    default_model: null,
    anthropic: { api_key: 'k', base_url: server.url },
    openai: null,
    compat: null,
    scripts_folder: null,
    settings: { [`anthropic/${id}`]: settings },
  })
const failing = { status: 'failed', error: { code: 'execution_failed', message: 'no', retryable: false } } as Partial<Invocation>
const resultTexts = (request: number): string[] =>
  server.requests[request]?.body.messages.at(-1)?.content.map((part) => part.content as string) ?? []
const modelCalls = (progress: Progress[]) => progress.flatMap((entry) => ('call' in entry && entry.call ? [entry.call] : []))

describe('calls of one answer', () => {
  /** Calls that end when told to; what began, in order. */
  function gated() {
    const began: string[] = []
    const ends = new Map<string, () => void>()
    const invoke = async (call: ToolCall) => {
      const name = `${call.tool_name}:${call.index}`
      began.push(name)
      await new Promise<void>((resolve) => ends.set(name, resolve))
      return { invocation: invocation(call), waited: null }
    }
    const until = async (count: number) => {
      while (began.length < count) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    return { began, ends, invoke, until }
  }

  it('that only read run at the same time; one that changes something waits for those before it, and those after wait for it', async () => {
    server.answer(
      message([
        toolUse('a', 'fs_read', { path: 'a' }),
        toolUse('b', 'repo_run_tests', { path: 'b' }),
        toolUse('c', 'fs_write', { path: 'c' }),
        toolUse('d', 'fs_read', { path: 'd' }),
      ]),
      message([text('ok')]),
    )
    const { began, ends, invoke, until } = gated()
    const { task, seen } = setUp({ invoke })
    const turn = runTurn(task)
    await until(2)
    ends.get('repo.run_tests:1')?.()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(began).toEqual(['fs.read:0', 'repo.run_tests:1'])
    ends.get('fs.read:0')?.()
    await until(3)
    expect(began).toEqual(['fs.read:0', 'repo.run_tests:1', 'fs.write:2'])
    ends.get('fs.write:2')?.()
    await until(4)
    ends.get('fs.read:3')?.()
    await turn
    // Each result was kept as it came, and they are given back in the order of the calls.
    const kept = seen.progress.flatMap((entry) =>
      entry.kind === 'result' ? [entry.step.calls.map((call) => (call.result ? 1 : 0)).join('')] : [],
    )
    expect(kept).toEqual(['0100', '1100', '1110', '1111'])
    expect(server.requests[1]?.body.messages.at(-1)?.content.map((part) => part.tool_use_id)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('are at most four at a time', async () => {
    const ids = Array.from({ length: 6 }, (_, n) => `call_${n}`)
    server.answer(message(ids.map((id) => toolUse(id, 'fs_read', { path: id }))), message([text('ok')]))
    const { began, ends, invoke, until } = gated()
    const { task } = setUp({ invoke })
    const turn = runTurn(task)
    await until(4)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(began).toHaveLength(4)
    for (let n = 0; n < 6; n++) {
      await until(Math.min(6, n + 1))
      ends.get(`fs.read:${n}`)?.()
    }
    expect(await turn).toMatchObject({ status: 'completed' })
  })

  it('that were cut off by a failure are all over before the turn is left', async () => {
    server.answer(message([toolUse('a', 'fs_read', { path: 'a' }), toolUse('b', 'fs_read', { path: 'b' })]))
    const bug = new TypeError('undefined is not a function')
    let over = false
    const { task } = setUp({
      invoke: async (call) => {
        if (call.index === 0) throw bug
        await new Promise((resolve) => setTimeout(resolve, 30))
        over = true
        return { invocation: invocation(call), waited: null }
      },
    })
    await expect(runTurn(task)).rejects.toBe(bug)
    expect(over).toBe(true)
  })
})

describe('the same call, failing again and again', () => {
  const readAgain = (n: number) => message([toolUse(`toolu_${n}`, 'fs_read', { path: 'nowhere' })])

  it('is warned about, then ends the turn', async () => {
    server.answer(...[1, 2, 3, 4, 5].map(readAgain))
    const { task, seen } = setUp({ invoke: async (call) => ({ invocation: invocation(call, failing), waited: null }) })
    expect(await runTurn(task)).toMatchObject({
      status: 'limited',
      reason: expect.stringContaining('the same call 5 times, and it failed each time: "fs.read"'),
    })
    expect(server.requests).toHaveLength(5)
    expect(resultTexts(2)[0]).not.toContain('Cloister')
    expect(resultTexts(3)[0]).toContain('this same call has failed 3 times')
    expect(seen.progress.filter((entry) => entry.kind === 'result')).toHaveLength(5)
  })

  it('also when other calls fail in between, and over a restart', async () => {
    server.answer(
      ...[1, 2, 3].flatMap((n) => [readAgain(n), message([toolUse(`other_${n}`, 'repo_run_tests', { path: `${n}` })])]),
    )
    const invoke = async (call: ToolCall) => ({ invocation: invocation(call, failing), waited: null })
    const first = setUp({ invoke, budgets: budgets({ steps: 6 }) })
    expect(await runTurn(first.task)).toMatchObject({ status: 'limited', reason: expect.stringContaining('6 model calls') })
    server.answer(readAgain(7), readAgain(8))
    const steps = first.seen.progress.flatMap((entry) => (entry.kind === 'result' ? [entry.step] : []))
    const second = setUp({ invoke, steps })
    expect(await runTurn(second.task)).toMatchObject({ status: 'limited', reason: expect.stringContaining('5 times') })
  })

  it('is no repetition when something was changed in between', async () => {
    const fixed = [1, 2, 3, 4, 5, 6].flatMap((n) => [readAgain(n), message([toolUse(`fix_${n}`, 'fs_write', { path: `${n}` })])])
    server.answer(...fixed, message([text('ok')]))
    const { task } = setUp({
      budgets: budgets({}),
      invoke: async (call) => ({
        invocation: invocation(call, call.tool_name === 'fs.write' ? {} : failing),
        waited: null,
      }),
    })
    expect(await runTurn(task)).toMatchObject({ status: 'completed' })
  })
})

describe('a budget', () => {
  const step = (n: number) =>
    message([toolUse(`toolu_${n}`, 'fs_read', { path: `${n}` })], { usage: { input_tokens: 900, output_tokens: 100 } })

  it('of tokens ends the turn, and says which', async () => {
    server.answer(step(1), step(2), step(3))
    const { task, seen } = setUp({ budgets: budgets({ tokens: 2000 }) })
    expect(await runTurn(task)).toEqual({
      status: 'limited',
      reason: 'the turn was stopped: one turn may use at most 2000 tokens, and 2000 are used',
    })
    expect(seen.progress.at(-1)?.spent).toMatchObject({ steps: 2, tokens: 2000 })
  })

  it('of money counts by the prices, cached input by its own', async () => {
    server.answer(
      message([toolUse('a', 'fs_read', { path: 'a' })], {
        usage: { input_tokens: 1000, output_tokens: 100, cache_read_input_tokens: 10_000, cache_creation_input_tokens: 2000 },
      }),
    )
    const price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 }
    const { task, seen } = setUp({ model: model('claude-x', { price }), budgets: budgets({ cost_usd: 0.015 }) })
    expect(await runTurn(task)).toMatchObject({
      status: 'limited',
      reason: expect.stringContaining('may cost at most US$ 0.0150'),
    })
    expect(modelCalls(seen.progress)[0]?.cost_usd).toBeCloseTo(0.003 + 0.0015 + 0.003 + 0.0075, 10)
  })

  it('of the session counts what its turns before used, and what an earlier server used of this one only once', async () => {
    server.answer(step(1), step(2), step(3))
    const spent = { ...NOTHING_SPENT, steps: 1, tokens: 500 }
    const { task } = setUp({
      budgets: { turn: NO_BUDGET, session: { ...NO_BUDGET, tokens: 4000 } },
      spent: { turn: spent, session: { ...spent, tokens: 2500 } },
    })
    expect(await runTurn(task)).toEqual({
      status: 'limited',
      reason: 'the turn was stopped: all turns of its session together may use at most 4000 tokens, and 4500 are used',
    })
    expect(server.requests).toHaveLength(2)
  })

  it('of wall time goes on where an earlier server was', async () => {
    const { task } = setUp({
      budgets: budgets({ seconds: 60 }),
      spent: { turn: { ...NOTHING_SPENT, seconds: 61 }, session: NOTHING_SPENT },
    })
    expect(await runTurn(task)).toMatchObject({ status: 'limited', reason: expect.stringContaining('at most 60 s') })
    expect(server.requests).toEqual([])
  })

  it('is told to the model', async () => {
    server.answer(message([text('ok')]))
    const { task } = setUp()
    await runTurn({ ...task, workspace: { ...task.workspace, budget: { ...NO_BUDGET, steps: 7, cost_usd: 2 } } })
    const system = server.requests[0]?.body.system?.map((part) => part.text).join('')
    expect(system).toContain('at most: 7 answers of yours, US$ 2.')
  })
})

describe('a fallback', () => {
  it('answers when the model fails for good, and for the rest of the turn', async () => {
    const overloaded = status(529, 'overloaded_error', 'Overloaded')
    server.answer(...Array(4).fill(overloaded), message([toolUse('a', 'fs_read', { path: 'a' })]), message([text('Done.')]))
    const { task, seen } = setUp({ model: model('first'), fallback: model('second') })
    expect(await runTurn(task)).toMatchObject({ status: 'completed', text: 'Done.' })
    expect(server.requests.map((request) => request.body.model)).toEqual([...Array(4).fill('first'), 'second', 'second'])
    expect(modelCalls(seen.progress).map((call) => call.error?.fallback ?? null)).toEqual([
      null,
      null,
      null,
      'anthropic/second',
      null,
      null,
    ])
    const kept = seen.progress.flatMap((entry) => (entry.kind === 'answered' ? [entry.step.model] : []))
    expect(kept).toEqual(['anthropic/second', 'anthropic/second'])
  })

  it('has tries of its own, and is the last', async () => {
    server.answer(status(401, 'authentication_error', 'bad key'), ...Array(4).fill(status(500, 'api_error', 'broken')))
    const { task } = setUp({ model: model('first'), fallback: model('second') })
    expect(await runTurn(task)).toMatchObject({ status: 'failed', kind: 'provider_error' })
    expect(server.requests.map((request) => request.body.model)).toEqual(['first', ...Array(4).fill('second')])
  })

  it('is not asked for what a model declined to answer', async () => {
    server.answer(message([], { stop_reason: 'refusal' }))
    const { task } = setUp({ model: model('first'), fallback: model('second') })
    expect(await runTurn(task)).toMatchObject({ status: 'failed', kind: 'refused' })
    expect(server.requests).toHaveLength(1)
  })
})

import { describe, expect, it } from 'vitest'
import { ToolNames } from '../../../domain/tool-names.ts'
import { NOT_COMPACTED } from '../../compaction.ts'
import { buildPrompt } from '../../context.ts'
import { callModel } from '../../model-call.ts'
import type { PastTurn } from '../../past-turn.ts'
import type { CallResult, TurnStep } from '../../turn-step.ts'
import { loadScript, parseScript } from './script.ts'
import { ScriptedModel } from './scripted-model.ts'

const names = new ToolNames(['repo.run_tests', 'fs.edit'])

const SCRIPT = {
  steps: [
    { when: 'make the tests pass', say: 'I run them.', call: [{ tool: 'repo.run_tests', args: { target: 'all' } }] },
    {
      when: 'make the tests pass',
      expect: { tool: 'repo.run_tests', status: 'succeeded' },
      say: 'They pass already: {{output.passed}}.',
    },
    {
      when: 'make the tests pass',
      expect: { tool: 'repo.run_tests', status: 'failed', result: 'tests_failed' },
      say: '{{output.failed}} fail.',
      call: [{ tool: 'fs.edit', args: { path: 'a' } }],
    },
    {
      when: 'make the tests pass',
      expect: { tool: 'fs.edit', status: 'denied' },
      say: 'You said no: {{error.message}}. {{output.nothing}}',
    },
    { when: 'make the tests pass', expect: { tool: 'fs.edit', status: 'succeeded' }, call: [{ tool: 'repo.run_tests' }] },
    { when: 'make the tests pass', expect: { tool: 'repo.run_tests', status: 'succeeded' }, say: 'Now they pass.' },
  ],
}

/** Plays the script against outcomes, and gives back what it said and called. */
async function play(
  user: string,
  outcomes: { status: CallResult['status']; json?: Record<string, unknown> }[],
  past: PastTurn[] = [],
  script: object = SCRIPT,
) {
  const model = new ScriptedModel('demo', parseScript('demo', JSON.stringify(script)))
  const steps: TurnStep[] = []
  const said: string[] = []
  const chunks: string[] = []
  for (;;) {
    const prompt = buildPrompt(
      { system: '', turn_id: 'trn_now', past, user, steps, compaction: NOT_COMPACTED, model: 'scripted/demo' },
      names,
    )
    const answer = await callModel(
      { label: 'scripted/demo', model, provider_options: {} },
      {
        prompt,
        tools: [],
        signal: new AbortController().signal,
        stall_ms: 5000,
        now: () => new Date(),
        onText: (text) => chunks.push(text),
      },
    )
    said.push(answer.text)
    expect(answer.usage).toMatchObject({ input_tokens: 0, output_tokens: 0 })
    if (answer.calls.length === 0) return { said, steps, chunks, finish: answer.finish_reason }
    const calls = answer.calls.map((call) => {
      const { status, json } = outcomes.shift() ?? expect.fail('the script called more than there are outcomes')
      const result = { ok: status === 'succeeded', status, text: JSON.stringify({ status, ...json }) }
      const tool_name = names.fromModel(call.name) ?? call.name
      return { id: call.id, tool_name, args: JSON.parse(call.input), malformed: null, invocation_id: null, result }
    })
    const { text, finish_reason } = answer
    steps.push({
      step: steps.length + 1,
      model: 'scripted/demo',
      text,
      calls,
      finish_reason,
      prompt_chars: 0,
      input_tokens: 0,
      output_tokens: 0,
    })
  }
}

const failing = { status: 'failed' as const, json: { error: { code: 'tests_failed' }, output: { failed: 2, passed: 5 } } }
const passing = { status: 'succeeded' as const, json: { output: { passed: 7 } } }

describe('the scripted model', () => {
  it('says first that it is a script, and says what happened', async () => {
    const { said, steps, chunks, finish } = await play('Please make the tests pass', [failing, { status: 'succeeded' }, passing])
    expect(said[0]).toMatch(/^I am a script, not a model.*\n\nI run them\.$/s)
    expect(said.slice(1)).toEqual(['2 fail.', '', 'Now they pass.'])
    expect(steps.map((step) => step.calls.map((call) => [call.tool_name, call.args]))).toEqual([
      [['repo.run_tests', { target: 'all' }]],
      [['fs.edit', { path: 'a' }]],
      [['repo.run_tests', {}]],
    ])
    expect(chunks.length).toBeGreaterThan(5)
    expect(finish).toBe('stop')
  })

  it.each([
    ['what passed already', [passing], 'They pass already: 7.'],
    [
      'a refusal',
      [failing, { status: 'denied' as const, json: { error: { message: 'not today' } } }],
      'You said no: not today. (no output.nothing)',
    ],
    [
      'what it has no step for',
      [failing, { status: 'succeeded' as const }, failing],
      'I stop here: the last call (repo_run_tests) came to "failed"',
    ],
  ])('takes another way for %s', async (_, outcomes, last) => {
    const { said } = await play('make the tests pass', [...outcomes])
    expect(said.at(-1)).toContain(last)
  })

  it('does not claim to understand a message that it has no step for', async () => {
    const { said } = await play('write a poem', [])
    expect(said[0]).toContain('the script has no step for this message')
  })

  it('introduces itself once in a conversation, and gives no call the id of an earlier one', async () => {
    const first = await play('make the tests pass', [passing])
    const past: PastTurn[] = [{ turn_id: 'trn_1', user: 'make the tests pass', steps: first.steps, notes: [] }]
    const second = await play('make the tests pass', [passing], past)
    expect(second.said[0]).toBe('I run them.')
    expect(second.steps[0]?.calls[0]?.id).not.toBe(first.steps[0]?.calls[0]?.id)
  })

  it('looks at the result of the tool it names, and without a name at the last', async () => {
    const two = (expectation: object) => ({
      steps: [
        { say: 'both', call: [{ tool: 'repo.run_tests' }, { tool: 'fs.edit' }] },
        { expect: expectation, say: 'it fits' },
      ],
    })
    const outcomes = () => [failing, { status: 'succeeded' as const }]
    const last = async (expectation: object) => (await play('x', outcomes(), [], two(expectation))).said.at(-1)
    expect(await last({ tool: 'repo.run_tests', status: 'failed' })).toBe('it fits')
    expect(await last({ status: 'succeeded' })).toBe('it fits')
    expect(await last({ status: 'failed' })).toContain('I stop here')
    expect(await last({ tool: 'git.diff' })).toContain('I stop here')
  })

  it('stops when it is aborted', async () => {
    const slow = parseScript('slow', JSON.stringify({ chunk_delay_ms: 1000, steps: [{ say: 'x'.repeat(1000) }] }))
    const abort = new AbortController()
    const reason = new Error('enough')
    const options = { prompt: [], tools: [], signal: abort.signal, stall_ms: 60_000, now: () => new Date(), onText: () => {} }
    const answer = callModel({ label: 's', model: new ScriptedModel('slow', slow), provider_options: {} }, options)
    setTimeout(() => abort.abort(reason), 20)
    await expect(answer).rejects.toBe(reason)
  })
})

describe('a script', () => {
  it.each([
    ['{', 'is not JSON'],
    ['{"steps": []}', 'steps'],
    ['{"steps": [{}]}', 'says something or calls something'],
    ['{"steps": [{"say": "x", "wenn": "y"}]}', 'wenn'],
    ['{"steps": [{"when": "(", "say": "x"}]}', 'steps.0.when: not a regular expression'],
    ['{"steps": [{"say": "x", "call": [{"args": {}}]}]}', 'steps.0.call.0.tool'],
    ['{"steps": [{"say": "x", "expect": {"status": "great"}}]}', 'steps.0.expect.status'],
  ])('%s is refused', (text, reason) => {
    expect(() => parseScript('bad', text)).toThrow(reason)
  })

  it('is shipped as default, and says what it cannot do', async () => {
    const text = JSON.stringify(loadScript('default', null).steps.at(-1))
    expect(text).toContain('ANTHROPIC_API_KEY')
  })

  it.each(['../default', 'a/b', '', '.', 'DEFAULT'])('is not found by a path: %j', (name) => {
    expect(() => loadScript(name, '/tmp')).toThrow("is no script's name")
  })
})

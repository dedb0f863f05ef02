import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  AnthropicWireServer,
  message,
  status,
  text,
  toolUse,
  type WireAnswer,
  type WireRequest,
} from '../../../test/support/anthropic-wire-server.ts'
import { alice, Gate, SECRET } from '../../../test/support/gate.ts'
import { ModelProviders } from '../../agent/model-provider.ts'
import { NO_BUDGET } from '../../domain/budget.ts'
import { MESSAGE_LIMIT } from '../../domain/message.ts'
import type { Session } from '../../domain/session.ts'
import { MessagePolicies } from '../../policy/message-policies.ts'
import { Quota } from '../invocations/quota.ts'
import { TurnService } from './turn-service.ts'

/** Conversations that are longer than their model's window, over the real gate. The model counts tokens, and refuses what is too long. */

const WINDOW = 6_000
const CHARACTERS_A_TOKEN = 4

let gate: Gate
let wire: AnthropicWireServer
let turns: TurnService

beforeEach(async () => {
  wire = await AnthropicWireServer.start()
  gate = await Gate.open()
  turns = turnsOver(WINDOW)
})

afterEach(async () => {
  await turns.stop()
  await gate.close()
  await wire.close()
})

function turnsOver(declaredWindow: number): TurnService {
  const { store, eventLog, invocations, sandboxes } = gate
  return new TurnService({
    store,
    eventLog,
    invocations,
    sandboxes,
    models: new ModelProviders({
      default_model: 'anthropic/claude-wire',
      anthropic: { api_key: 'key', base_url: wire.url },
      openai: null,
      compat: null,
      scripts_folder: null,
      settings: { 'anthropic/claude-wire': { context_window: declaredWindow } },
    }),
    messagePolicy: new MessagePolicies(null),
    messageQuota: new Quota({ perMinutePerSession: 0, perMinutePerPrincipal: 0, concurrentPerSession: 0 }),
    messageLimit: MESSAGE_LIMIT,
    budgets: { turn: { ...NO_BUDGET, steps: 40 }, session: NO_BUDGET },
    stallMs: 30_000,
    retry: { max_attempts: 2, base_ms: 1, max_ms: 1, random: () => 0 },
    clock: () => new Date(),
    logger: { warn: () => undefined, error: (...entry: unknown[]) => gate.faults.push(entry) },
  })
}

const tokensOf = (request: WireRequest) =>
  Math.ceil(
    (JSON.stringify(request.body.messages).length +
      JSON.stringify(request.body.system).length +
      JSON.stringify(request.body.tools ?? []).length) /
      CHARACTERS_A_TOKEN,
  )
const isSummary = (request: WireRequest) => request.body.tools === undefined
const facts = (request: WireRequest) => [...new Set(JSON.stringify(request.body.messages).match(/FACT-\d+/g))]
const question = (request: WireRequest) =>
  request.body.messages
    .flatMap(({ role, content }) => (role === 'user' ? content.map((part) => part.text ?? '') : []))
    .findLast((said) => said !== '' && !said.startsWith('[Cloister')) ?? ''

const FACTS = 'what are the facts?'

/**
 * Reads the files that it is asked for, one in each answer; then says that it has. Asked for facts, it says those that it sees. Its own answers
 * name none: what it knows later, it knows from results of tools, or from its summaries, which keep the facts.
 */
function model(request: WireRequest): WireAnswer {
  const tokens = tokensOf(request)
  if (tokens > WINDOW) return status(400, 'invalid_request_error', `prompt is too long: ${tokens} tokens > ${WINDOW} maximum`)
  const options = { usage: { input_tokens: tokens, output_tokens: 50 } }
  const known = facts(request)
  if (isSummary(request))
    return message([text(`I was asked to read files. What I know: ${known.join(' ')}. It is ${SECRET}.`)], options)
  const [, first = 0, last = -1] = /files (\d+) to (\d+)/.exec(question(request)) ?? []
  for (let file = Number(first); file <= Number(last); file++)
    if (!known.includes(`FACT-${file}`)) return message([toolUse(`toolu_${file}`, 'fs_read', { path: `${file}.txt` })], options)
  if (question(request) === FACTS) return message([text(`I know ${known.join(' ')}`)], options)
  return message([text('I have read them.')], options)
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 4000; tries++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error('it did not come to that')
}

async function filed(count: number): Promise<Session> {
  const session = await gate.session({ tools: { allow: ['fs.read'], deny: [] } })
  await gate.sandboxes.acquire(session.id)
  for (let file = 0; file < count; file++)
    writeFileSync(
      `${gate.path(session)}/${file}.txt`,
      `FACT-${file}\n${`line of file ${file}, which says nothing\n`.repeat(100)}`,
    )
  return session
}

async function say(session: Session, content: string): Promise<string> {
  await turns.post(alice, session.id, content)
  await until(
    async () =>
      (await gate.store.sessions.get(session.id))?.state === 'idle' &&
      (await gate.store.messages.queued(session.id)).length === 0,
  )
  return (await gate.store.messages.all(session.id)).at(-1)?.content ?? ''
}

const all = (count: number) => Array.from({ length: count }, (_, n) => `FACT-${n}`)
const known = (answer: string) =>
  [...new Set(answer.match(/FACT-\d+/g))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))

describe('a conversation that outgrows its model', () => {
  it('goes on over many turns and compactions, and over restarts; what was learned is kept', async () => {
    wire.answerEach(model)
    const session = await filed(36)
    for (let file = 0; file < 36; file += 3) {
      expect(await say(session, `read the files ${file} to ${file + 2}`)).toBe('I have read them.')
      if (file % 6 === 0) {
        await turns.stop()
        turns = turnsOver(WINDOW)
      }
    }
    expect(known(await say(session, FACTS))).toEqual(all(36))
    const compactions = (await gate.events(session)).filter(({ type }) => type === 'context.compacted')
    const kinds = compactions.map(({ data }) => data['kind'])
    expect(kinds.filter((kind) => kind === 'summary').length).toBeGreaterThan(2)
    expect(kinds[0]).toBe('outputs')
    for (const { data } of compactions) {
      expect(data['tokens_after']).toBeLessThan(data['tokens_before'] as number)
      expect(data).toMatchObject({ context_window: WINDOW, through: { turn_id: expect.any(String) } })
    }
    // No request was refused as too long: the sizes were known beforehand.
    expect(wire.requests.filter((request) => tokensOf(request) > WINDOW)).toEqual([])
    const summary = compactions.find(({ data }) => data['kind'] === 'summary')
    expect(summary?.data['text']).toContain('FACT-0')
    // A summary is an answer of the model like any other: redacted, recorded with its usage, counted.
    expect(JSON.stringify(compactions)).not.toContain(SECRET)
    const calls = (await gate.events(session)).filter(({ type }) => type === 'model.called')
    expect(calls.filter(({ data }) => data['purpose'] === 'summary')).toHaveLength(
      kinds.filter((kind) => kind === 'summary').length,
    )
    const used = calls.reduce((sum, { data }) => sum + (data['usage'] as { input_tokens: number }).input_tokens, 0)
    expect((await gate.store.sessions.get(session.id))?.usage.input_tokens).toBe(used)
    expect(gate.faults).toEqual([])
  })

  it('may be one long turn', async () => {
    wire.answerEach(model)
    const session = await filed(20)
    expect(await say(session, 'read the files 0 to 19')).toBe('I have read them.')
    const compactions = (await gate.events(session)).filter(({ type }) => type === 'context.compacted')
    expect(compactions.some(({ data }) => data['kind'] === 'summary')).toBe(true)
    // What the turn is about stays in its own words.
    for (const request of wire.requests) if (!isSummary(request)) expect(question(request)).toBe('read the files 0 to 19')
    expect(known(await say(session, FACTS))).toEqual(all(20))
  })

  it('shrinks until it fits when the provider takes less than was declared', async () => {
    turns = turnsOver(1_000_000)
    wire.answerEach(model)
    const session = await filed(16)
    expect(await say(session, 'read the files 0 to 15')).toBe('I have read them.')
    expect(known(await say(session, FACTS))).toEqual(all(16))
    const failed = (await gate.events(session)).flatMap(({ type, data }) =>
      type === 'model.called' && data['error'] ? [(data['error'] as { kind: string }).kind] : [],
    )
    expect(failed.length).toBeGreaterThan(0)
    expect(new Set(failed)).toEqual(new Set(['context_exceeded']))
  })

  it('says so when a message alone does not fit', async () => {
    wire.answerEach(model)
    const session = await filed(1)
    const answer = await say(session, 'x '.repeat(30_000))
    expect(answer).toMatch(
      /^The turn did not finish: the message and what must be told with it do not fit into the 6000 tokens of anthropic\/claude-wire/,
    )
    await say(session, 'read the files 0 to 0')
    expect(await say(session, FACTS)).toContain('FACT-0')
  })

  it('knows in a later turn what stood only in a result', async () => {
    wire.answerEach(model)
    const session = await filed(2)
    await say(session, 'read the files 0 to 1')
    expect(known(await say(session, FACTS))).toEqual(all(2))
    expect(await gate.events(session)).not.toContainEqual(expect.objectContaining({ type: 'context.compacted' }))
    // Nothing was read again: the second turn is one call of the model.
    expect(wire.requests).toHaveLength(4)
  })
})

import { ModelWireServer, type Received, type SseEvent, type WireAnswer } from './model-wire-server.ts'

export type { WireAnswer }

/**
 * A local server that speaks the streaming wire format of Anthropic's Messages API (docs.anthropic.com, "Streaming Messages"), good
 * and bad: what the real one sends, with its event names, order and splitting, and the ways in which it fails. It answers requests
 * with the queued answers, one each, and keeps the requests. A request for which nothing is queued gets 500 and is remembered in
 * `unexpected`.
 */

export type WireRequest = Received<AnthropicBody>

interface AnthropicBody {
  model: string
  max_tokens: number
  stream?: boolean
  system?: { type: string; text: string; cache_control?: unknown }[]
  messages: { role: 'user' | 'assistant'; content: WireContent[] }[]
  tools?: { name: string; description: string; input_schema: Record<string, unknown> }[]
  tool_choice?: unknown
  cache_control?: unknown
}

/** As much of the content blocks of a request as tests look at. */
export interface WireContent {
  type: string
  text?: string
  thinking?: string
  signature?: string
  /** Of redacted thinking. */
  data?: string
  id?: string
  name?: string
  input?: unknown
  tool_use_id?: string
  is_error?: boolean
  content?: string | { type: string; text: string }[]
}

export type WireBlock =
  | { type: 'text'; chunks: string[] }
  | { type: 'thinking'; text: string; signature: string }
  | { type: 'redacted_thinking'; data: string }
  /** `json`: the input in the pieces in which it is sent; together they need not be valid. */
  | { type: 'tool_use'; id: string; name: string; json: string[] }

export interface WireUsage {
  input_tokens: number
  output_tokens: number
  cache_creation_input_tokens?: number
  cache_read_input_tokens?: number
}

/** A whole answer: message_start, ping, the blocks, message_delta, message_stop. */
export function message(blocks: WireBlock[], options: { stop_reason?: string; usage?: WireUsage } = {}): WireAnswer {
  const stop = options.stop_reason ?? (blocks.some((block) => block.type === 'tool_use') ? 'tool_use' : 'end_turn')
  const { output_tokens, ...input } = options.usage ?? { input_tokens: 10, output_tokens: 5 }
  return {
    kind: 'stream',
    end: 'close',
    events: [
      {
        event: 'message_start',
        data: {
          type: 'message_start',
          message: {
            id: 'msg_wire',
            type: 'message',
            role: 'assistant',
            model: 'claude-wire-1',
            content: [],
            stop_reason: null,
            stop_sequence: null,
            usage: { ...input, output_tokens: 1 },
          },
        },
      },
      { event: 'ping', data: { type: 'ping' } },
      ...blocks.flatMap(blockEvents),
      {
        event: 'message_delta',
        data: { type: 'message_delta', delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens } },
      },
      { event: 'message_stop', data: { type: 'message_stop' } },
    ],
  }
}

function blockEvents(block: WireBlock, index: number): SseEvent[] {
  const start = (content_block: Record<string, unknown>): SseEvent => ({
    event: 'content_block_start',
    data: { type: 'content_block_start', index, content_block },
  })
  const delta = (value: Record<string, unknown>): SseEvent => ({
    event: 'content_block_delta',
    data: { type: 'content_block_delta', index, delta: value },
  })
  const stop: SseEvent = { event: 'content_block_stop', data: { type: 'content_block_stop', index } }
  switch (block.type) {
    case 'text':
      return [start({ type: 'text', text: '' }), ...block.chunks.map((text) => delta({ type: 'text_delta', text })), stop]
    case 'thinking':
      return [
        start({ type: 'thinking', thinking: '', signature: '' }),
        delta({ type: 'thinking_delta', thinking: block.text }),
        delta({ type: 'signature_delta', signature: block.signature }),
        stop,
      ]
    case 'redacted_thinking':
      return [start({ type: 'redacted_thinking', data: block.data }), stop]
    case 'tool_use':
      return [
        start({ type: 'tool_use', id: block.id, name: block.name, input: {} }),
        ...block.json.map((partial_json) => delta({ type: 'input_json_delta', partial_json })),
        stop,
      ]
  }
}

export const text = (...chunks: string[]): WireBlock => ({ type: 'text', chunks })

/** The input is sent in pieces of 7 characters, as the real service splits it anywhere. */
export const toolUse = (id: string, name: string, input: unknown): WireBlock => ({
  type: 'tool_use',
  id,
  name,
  json: ['', ...(JSON.stringify(input).match(/.{1,7}/gsu) ?? [])],
})

/** A whole answer of which only the events before `untilEvent` (the nth of that name) are sent. */
export function cut(answer: WireAnswer, end: 'close' | 'destroy' | 'hang', untilEvent: string, nth = 1): WireAnswer {
  if (answer.kind !== 'stream') throw new Error('only a stream can be cut')
  let seen = 0
  const index = answer.events.findIndex((event) => event.event === untilEvent && ++seen === nth)
  if (index === -1) throw new Error(`the answer has no ${nth}. ${untilEvent}`)
  return { ...answer, events: answer.events.slice(0, index), end }
}

/** An error event in the middle of a stream, after what was sent so far. */
export function thenError(answer: WireAnswer, type: string, errorMessage: string): WireAnswer {
  if (answer.kind !== 'stream') throw new Error('only a stream can have an error event')
  const error: SseEvent = { event: 'error', data: { type: 'error', error: { type, message: errorMessage } } }
  return { kind: 'stream', end: 'close', events: [...answer.events, error] }
}

/** A refusal by status, with the body that the real service sends. */
export function status(code: number, type: string, errorMessage: string, headers: Record<string, string> = {}): WireAnswer {
  return { kind: 'status', status: code, headers, body: { type: 'error', error: { type, message: errorMessage } } }
}

export class AnthropicWireServer extends ModelWireServer<AnthropicBody> {
  static start(): Promise<AnthropicWireServer> {
    return new AnthropicWireServer('/v1/messages').listen()
  }
}

import { ModelWireServer, type Received, type SseEvent, type WireAnswer } from './model-wire-server.ts'

/**
 * Local servers that speak OpenAI's two streaming wire formats, as OpenAI documents them: the Responses API (`/v1/responses`) and Chat
 * Completions (`/v1/chat/completions`), which most other servers speak too.
 */

export type OpenAiBlock =
  | { type: 'text'; chunks: string[] }
  /** Without text: only the provider can read it. */
  | { type: 'thinking'; text: string; encrypted: string }
  | { type: 'refusal'; text: string }
  /** `json`: the arguments in the pieces in which they are sent; together they need not be valid. */
  | { type: 'call'; id: string; name: string; json: string[] }

export interface OpenAiUsage {
  input_tokens: number
  output_tokens: number
  cached_tokens?: number
}

interface Options {
  usage?: OpenAiUsage
  /** The answer was cut at the model's output limit. */
  cut_at_limit?: boolean
}

const USAGE: OpenAiUsage = { input_tokens: 10, output_tokens: 5 }

export interface ResponsesBody {
  model: string
  stream?: boolean
  store?: boolean
  include?: string[]
  input: Record<string, unknown>[]
  tools?: { type: string; name: string; description: string; parameters: Record<string, unknown>; strict: boolean }[]
}

export interface ChatBody {
  model: string
  stream?: boolean
  stream_options?: { include_usage?: boolean }
  messages: {
    role: 'system' | 'user' | 'assistant' | 'tool'
    content: string | { type: string; text?: string }[] | null
    reasoning_content?: string
    tool_calls?: { id: string; type: 'function'; function: { name: string; arguments: string } }[]
    tool_call_id?: string
  }[]
  tools?: { type: 'function'; function: { name: string; description: string; parameters: Record<string, unknown> } }[]
}

export type ResponsesRequest = Received<ResponsesBody>
export type ChatRequest = Received<ChatBody>

export class ResponsesWireServer extends ModelWireServer<ResponsesBody> {
  static start(): Promise<ResponsesWireServer> {
    return new ResponsesWireServer('/v1/responses').listen()
  }
}

export class ChatWireServer extends ModelWireServer<ChatBody> {
  static start(): Promise<ChatWireServer> {
    return new ChatWireServer('/v1/chat/completions').listen()
  }
}

/** A whole answer of the Responses API. */
export function responsesMessage(blocks: OpenAiBlock[], options: Options = {}): WireAnswer {
  const { input_tokens, output_tokens, cached_tokens = 0 } = options.usage ?? USAGE
  const response = {
    id: 'resp_wire',
    object: 'response',
    created_at: 1_790_000_000,
    model: 'gpt-wire-1',
    status: 'in_progress',
    output: [],
  }
  const end = options.cut_at_limit ? 'response.incomplete' : 'response.completed'
  const events = [
    { type: 'response.created', response },
    { type: 'response.in_progress', response },
    ...blocks.flatMap(responsesItem),
    {
      type: end,
      response: {
        ...response,
        status: options.cut_at_limit ? 'incomplete' : 'completed',
        incomplete_details: options.cut_at_limit ? { reason: 'max_output_tokens' } : null,
        usage: {
          input_tokens,
          input_tokens_details: { cached_tokens },
          output_tokens,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: input_tokens + output_tokens,
        },
      },
    },
  ]
  return {
    kind: 'stream',
    end: 'close',
    events: events.map((data, sequence_number) => ({ event: data.type, data: { ...data, sequence_number } })),
  }
}

function responsesItem(block: OpenAiBlock, output_index: number): { type: string; [field: string]: unknown }[] {
  const item = (type: 'added' | 'done', value: Record<string, unknown>) => ({
    type: `response.output_item.${type}`,
    output_index,
    item: value,
  })
  switch (block.type) {
    case 'text':
    case 'refusal': {
      const item_id = `msg_${output_index}`
      const chunks = block.type === 'text' ? block.chunks : [block.text]
      const kind = block.type === 'text' ? 'output_text' : 'refusal'
      const whole = chunks.join('')
      const part = block.type === 'text' ? { type: kind, text: whole, annotations: [] } : { type: kind, refusal: whole }
      const message = { type: 'message', id: item_id, role: 'assistant' }
      return [
        item('added', { ...message, status: 'in_progress', content: [] }),
        {
          type: 'response.content_part.added',
          item_id,
          output_index,
          content_index: 0,
          part: { ...part, [block.type === 'text' ? 'text' : 'refusal']: '' },
        },
        ...chunks.map((delta) => ({ type: `response.${kind}.delta`, item_id, output_index, content_index: 0, delta })),
        {
          type: `response.${kind}.done`,
          item_id,
          output_index,
          content_index: 0,
          [block.type === 'text' ? 'text' : 'refusal']: whole,
        },
        { type: 'response.content_part.done', item_id, output_index, content_index: 0, part },
        item('done', { ...message, status: 'completed', content: [part] }),
      ]
    }
    case 'thinking': {
      const item_id = `rs_${output_index}`
      const reasoning = { type: 'reasoning', id: item_id }
      const summary = { item_id, output_index, summary_index: 0 }
      const added = item('added', { ...reasoning, summary: [], encrypted_content: '' })
      if (block.text === '') return [added, item('done', { ...reasoning, summary: [], encrypted_content: block.encrypted })]
      return [
        added,
        { type: 'response.reasoning_summary_part.added', ...summary, part: { type: 'summary_text', text: '' } },
        { type: 'response.reasoning_summary_text.delta', ...summary, delta: block.text },
        { type: 'response.reasoning_summary_text.done', ...summary, text: block.text },
        { type: 'response.reasoning_summary_part.done', ...summary, part: { type: 'summary_text', text: block.text } },
        item('done', { ...reasoning, summary: [{ type: 'summary_text', text: block.text }], encrypted_content: block.encrypted }),
      ]
    }
    case 'call': {
      const item_id = `fc_${output_index}`
      const call = { type: 'function_call', id: item_id, call_id: block.id, name: block.name }
      const whole = block.json.join('')
      return [
        item('added', { ...call, arguments: '', status: 'in_progress' }),
        ...block.json.map((delta) => ({ type: 'response.function_call_arguments.delta', item_id, output_index, delta })),
        { type: 'response.function_call_arguments.done', item_id, output_index, arguments: whole },
        item('done', { ...call, arguments: whole, status: 'completed' }),
      ]
    }
  }
}

/** A whole answer of Chat Completions. Calls of one answer come interleaved, piece by piece. */
export function chatMessage(blocks: OpenAiBlock[], options: Options = {}): WireAnswer {
  const { input_tokens, output_tokens, cached_tokens = 0 } = options.usage ?? USAGE
  const base = { id: 'chatcmpl-wire', object: 'chat.completion.chunk', created: 1_790_000_000, model: 'compat-wire-1' }
  const chunk = (delta: Record<string, unknown>, finish_reason: string | null = null): SseEvent => ({
    event: '',
    data: { ...base, choices: [{ index: 0, delta, finish_reason }], usage: null },
  })
  const calls = blocks.filter((block) => block.type === 'call')
  const longest = Math.max(0, ...calls.map(({ json }) => json.length))
  const finish = options.cut_at_limit ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop'
  const usage = {
    prompt_tokens: input_tokens,
    completion_tokens: output_tokens,
    total_tokens: input_tokens + output_tokens,
    prompt_tokens_details: { cached_tokens },
  }
  return {
    kind: 'stream',
    end: 'close',
    events: [
      chunk({ role: 'assistant', content: '' }),
      ...blocks.flatMap((block) => {
        if (block.type === 'thinking') return [chunk({ reasoning_content: block.text })]
        if (block.type === 'text') return block.chunks.map((content) => chunk({ content }))
        return block.type === 'refusal' ? [chunk({ refusal: block.text })] : []
      }),
      ...calls.map(({ id, name }, index) =>
        chunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] }),
      ),
      ...Array.from({ length: longest }, (_, piece) => piece).flatMap((piece) =>
        calls.flatMap(({ json }, index) =>
          json[piece] === undefined ? [] : [chunk({ tool_calls: [{ index, function: { arguments: json[piece] } }] })],
        ),
      ),
      chunk({}, finish),
      { event: '', data: { ...base, choices: [], usage } },
      { event: '', data: '[DONE]' },
    ],
  }
}

/** A refusal by status, with the body that the real service sends. */
export function openAiStatus(code: number, type: string, message: string, headers: Record<string, string> = {}): WireAnswer {
  return { kind: 'status', status: code, headers, body: { error: { message, type, param: null, code: type } } }
}

export const openAiText = (...chunks: string[]): OpenAiBlock => ({ type: 'text', chunks })
export const openAiCall = (id: string, name: string, input: unknown): OpenAiBlock => ({
  type: 'call',
  id,
  name,
  json: JSON.stringify(input).match(/.{1,7}/gsu) ?? [],
})

import type { ResolvedModel } from '../../src/agent/language-model.ts'
import { type ModelConfig, resolveModel } from '../../src/agent/model-provider.ts'
import {
  AnthropicWireServer,
  message as anthropicMessage,
  status as anthropicStatus,
  type WireBlock,
  type WireRequest,
} from './anthropic-wire-server.ts'
import type { WireAnswer } from './model-wire-server.ts'
import {
  type ChatRequest,
  ChatWireServer,
  chatMessage,
  type OpenAiBlock,
  type OpenAiUsage,
  openAiStatus,
  type ResponsesRequest,
  ResponsesWireServer,
  responsesMessage,
} from './openai-wire-server.ts'

/** One thing said in several wire formats: what a suite over all providers is written in. */

export type Block = OpenAiBlock

/** A request, as far as the formats have it in common. */
export interface Asked {
  model: string
  system: string
  /** What the agent said before. */
  said: {
    text: string
    thinking: string
    calls: { id: string; name: string; input: unknown }[]
    /** What stands one after the other; of what the format keeps apart (Chat Completions) the order is not known. */
    order: string[]
  }[]
  user: string[]
  results: { id: string; text: string }[]
  tools: { name: string; schema: Record<string, unknown> }[]
}

export interface ModelServer {
  url: string
  answer(...answers: WireAnswer[]): void
  asked(): Asked[]
  close(): Promise<void>
}

export interface Dialect {
  provider: 'anthropic' | 'openai' | 'compat'
  start(): Promise<ModelServer>
  message(blocks: Block[], options?: { usage?: OpenAiUsage; cut_at_limit?: boolean }): WireAnswer
  status(code: number, message: string, headers?: Record<string, string>): WireAnswer
  /** An error that is told in the stream, instead of all that came after `events` events. */
  brokenOff(answer: WireAnswer, events: number): WireAnswer
  /** Events before the first text. */
  beforeText: number
  /** Variables of a server that uses it. */
  environment(url: string): Record<string, string>
}

const key = 'key-of-the-test'

/** The model of this provider, at this address. */
export function modelAt({ provider }: Dialect, url: string): ResolvedModel {
  const config: ModelConfig = {
    default_model: null,
    anthropic: { api_key: key, base_url: url },
    openai: { api_key: key, base_url: `${url}/v1` },
    compat: { api_key: key, base_url: `${url}/v1` },
    scripts_folder: null,
    settings: {},
  }
  return resolveModel(`${provider}/wire-model`, config)
}

function broken(answer: WireAnswer, count: number, event: string, data: Record<string, unknown>): WireAnswer {
  if (answer.kind !== 'stream') throw new Error('only a stream can be broken off')
  return { kind: 'stream', end: 'close', events: [...answer.events.slice(0, count), { event, data }] }
}

const anthropic: Dialect = {
  provider: 'anthropic',
  async start() {
    const server = await AnthropicWireServer.start()
    return running(server, () => server.requests.map(askedOfAnthropic))
  },
  message(blocks, { usage, cut_at_limit } = {}) {
    const stop_reason = cut_at_limit ? 'max_tokens' : blocks.some(({ type }) => type === 'refusal') ? 'refusal' : undefined
    const cached = usage?.cached_tokens ?? 0
    return anthropicMessage(
      blocks.flatMap((block): WireBlock[] => {
        if (block.type === 'text') return [block]
        if (block.type === 'thinking' && block.text === '') return [{ type: 'redacted_thinking', data: block.encrypted }]
        if (block.type === 'thinking') return [{ type: 'thinking', text: block.text, signature: block.encrypted }]
        return block.type === 'call' ? [{ type: 'tool_use', id: block.id, name: block.name, json: block.json }] : []
      }),
      {
        ...(stop_reason && { stop_reason }),
        ...(usage && {
          usage: {
            input_tokens: usage.input_tokens - cached,
            output_tokens: usage.output_tokens,
            cache_read_input_tokens: cached,
          },
        }),
      },
    )
  },
  status: (code, message, headers) => anthropicStatus(code, code === 429 ? 'rate_limit_error' : 'api_error', message, headers),
  brokenOff: (answer, count) =>
    broken(answer, count, 'error', { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }),
  beforeText: 3,
  environment: (url) => ({ ANTHROPIC_API_KEY: key, ANTHROPIC_BASE_URL: url }),
}

function askedOfAnthropic({ body }: WireRequest): Asked {
  const parts = body.messages.flatMap(({ role, content }) => content.map((part) => ({ role, ...part })))
  return {
    model: body.model,
    system: body.system?.map(({ text }) => text).join('') ?? '',
    said: body.messages
      .filter(({ role }) => role === 'assistant')
      .map(({ content }) => ({
        text: content.map(({ text }) => text ?? '').join(''),
        thinking: content.map(({ thinking, signature }) => (thinking === undefined ? '' : `${thinking}|${signature}`)).join(''),
        calls: content.flatMap(({ type, id = '', name = '', input }) => (type === 'tool_use' ? [{ id, name, input }] : [])),
        order: content.map(({ type, text, thinking, signature, data, id }) => {
          if (type === 'thinking') return `thinking ${thinking}|${signature}`
          return type === 'redacted_thinking' ? `thinking |${data}` : `${type === 'text' ? `text ${text}` : `call ${id}`}`
        }),
      })),
    user: parts.flatMap(({ role, type, text }) => (role === 'user' && type === 'text' ? [text ?? ''] : [])),
    results: parts.flatMap(({ type, tool_use_id = '', content }) =>
      type === 'tool_result'
        ? [{ id: tool_use_id, text: typeof content === 'string' ? content : (content ?? []).map(({ text }) => text).join('') }]
        : [],
    ),
    tools: (body.tools ?? []).map(({ name, input_schema }) => ({ name, schema: input_schema })),
  }
}

const responses: Dialect = {
  provider: 'openai',
  async start() {
    const server = await ResponsesWireServer.start()
    return running(server, () => server.requests.map(askedOfResponses))
  },
  message: responsesMessage,
  status: (code, message, headers) => openAiStatus(code, code === 429 ? 'rate_limit_exceeded' : 'server_error', message, headers),
  brokenOff: (answer, count) =>
    broken(answer, count, 'error', {
      type: 'error',
      sequence_number: count,
      code: 'server_error',
      message: 'The server had an error',
      param: null,
    }),
  beforeText: 4,
  environment: (url) => ({ OPENAI_API_KEY: key, OPENAI_BASE_URL: `${url}/v1` }),
}

function askedOfResponses({ body }: ResponsesRequest): Asked {
  const asked: Asked = { model: body.model, system: '', said: [], user: [], results: [], tools: [] }
  // Items stand alone here: what the agent said in one answer ends with whatever somebody else says.
  let open: Asked['said'][number] | null = null
  const agent = () => {
    if (open === null) {
      open = { text: '', thinking: '', calls: [], order: [] }
      asked.said.push(open)
    }
    return open
  }
  for (const item of body.input) {
    const text = Array.isArray(item['content'])
      ? (item['content'] as { text?: string }[]).map((part) => part.text ?? '').join('')
      : String(item['content'] ?? '')
    if (item['role'] === 'assistant') {
      agent().text += text
      agent().order.push(`text ${text}`)
    } else if (item['type'] === 'reasoning') {
      const thinking = `${(item['summary'] as { text: string }[]).map((part) => part.text).join('')}|${item['encrypted_content']}`
      agent().thinking += thinking
      agent().order.push(`thinking ${thinking}`)
    } else if (item['type'] === 'function_call') {
      const id = String(item['call_id'])
      agent().calls.push({ id, name: String(item['name']), input: JSON.parse(String(item['arguments'])) })
      agent().order.push(`call ${id}`)
    } else {
      open = null
      if (item['type'] === 'function_call_output')
        asked.results.push({ id: String(item['call_id']), text: String(item['output']) })
      else if (item['role'] === 'user') asked.user.push(text)
      else asked.system += text
    }
  }
  asked.tools = (body.tools ?? []).map(({ name, parameters }) => ({ name, schema: parameters }))
  return asked
}

const chat: Dialect = {
  provider: 'compat',
  async start() {
    const server = await ChatWireServer.start()
    return running(server, () => server.requests.map(askedOfChat))
  },
  message: chatMessage,
  status: (code, message, headers) => openAiStatus(code, code === 429 ? 'rate_limit_exceeded' : 'server_error', message, headers),
  brokenOff: (answer, count) =>
    broken(answer, count, '', { error: { message: 'The server had an error', type: 'server_error', param: null, code: null } }),
  beforeText: 1,
  environment: (url) => ({ CLOISTER_COMPAT_BASE_URL: `${url}/v1`, CLOISTER_COMPAT_API_KEY: key }),
}

function askedOfChat({ body }: ChatRequest): Asked {
  const textOf = (content: ChatRequest['body']['messages'][number]['content']) =>
    typeof content === 'string' ? content : (content ?? []).map(({ text }) => text ?? '').join('')
  const of = (role: string) => body.messages.filter((message) => message.role === role)
  return {
    model: body.model,
    system: of('system')
      .map(({ content }) => textOf(content))
      .join(''),
    said: of('assistant').map(({ content, reasoning_content = '', tool_calls = [] }) => ({
      text: textOf(content),
      thinking: reasoning_content,
      calls: tool_calls.map(({ id, function: { name, arguments: input } }) => ({ id, name, input: JSON.parse(input) })),
      order: [],
    })),
    user: of('user').map(({ content }) => textOf(content)),
    results: of('tool').map(({ tool_call_id = '', content }) => ({ id: tool_call_id, text: textOf(content) })),
    tools: (body.tools ?? []).map(({ function: { name, parameters } }) => ({ name, schema: parameters })),
  }
}

function running(
  server: { url: string; answer(...answers: WireAnswer[]): void; close(): Promise<void> },
  asked: () => Asked[],
): ModelServer {
  return { url: server.url, answer: (...answers) => server.answer(...answers), asked, close: () => server.close() }
}

/** Every provider that has a wire format. */
export const DIALECTS: readonly Dialect[] = [anthropic, responses, chat]

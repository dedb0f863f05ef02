import type { FinishReason, ModelTool, Prompt, ProviderModel, StreamPart } from './language-model.ts'
import { ModelFailure, modelFailure } from './model-failure.ts'
import type { StepPart } from './turn-step.ts'

/** Characters of text, thinking and tool input of one answer. No model writes that much; what does is broken or hostile. */
const ANSWER_LIMIT = 4_000_000
const CALLS_LIMIT = 256

export interface ModelUsage {
  input_tokens: number
  output_tokens: number
  /** Of the input tokens: read from, and written to, the provider's cache. */
  cache_read_tokens: number
  cache_write_tokens: number
}

export interface ModelAnswer {
  text: string
  /** `input` as the model wrote it: JSON, or what should have been. */
  calls: { id: string; name: string; input: string }[]
  /** What came, in its order. Providers sign what they thought in its place, and want it back there. */
  parts: StepPart[]
  finish_reason: FinishReason
  usage: ModelUsage
  /** What the provider says answered. */
  response_model: string | null
}

export interface ModelCallOptions {
  prompt: Prompt
  tools: ModelTool[]
  signal: AbortSignal
  /** A stream in which nothing comes for so long, in ms, is given up. */
  stall_ms: number
  now: () => Date
  onText: (text: string) => void
}

/**
 * One streamed model call. Resolves only with an answer that ended in order and says something: whatever else a provider makes of
 * a bad end (an early but orderly close, a normal stop without content, an error event in the stream) is a ModelFailure here.
 * Rejects with ModelFailure, or with the signal's reason once it is aborted.
 */
export async function callModel(provider: ProviderModel, options: ModelCallOptions): Promise<ModelAnswer> {
  const stalled = new AbortController()
  const stall = () =>
    stalled.abort(
      new ModelFailure('stalled', `the model provider sent nothing for ${options.stall_ms / 1000} s`, { retryable: true }),
    )
  let timer = setTimeout(stall, options.stall_ms)
  const signal = AbortSignal.any([options.signal, stalled.signal])
  const answer = new Answer(options.onText)
  try {
    const { stream } = await untilAborted(
      provider.model.doStream({
        prompt: options.prompt,
        abortSignal: signal,
        providerOptions: provider.provider_options,
        ...(options.tools.length > 0 ? { tools: options.tools, toolChoice: { type: 'auto' } } : {}),
      }),
      signal,
    )
    const reader = stream.getReader()
    try {
      for (;;) {
        const { done, value } = await untilAborted(reader.read(), signal)
        if (done) break
        clearTimeout(timer)
        timer = setTimeout(stall, options.stall_ms)
        answer.take(value)
      }
    } finally {
      // Frees the connection of a stream that was left early. Its own failure changes nothing: what it had is not used.
      reader.cancel().catch(() => {})
    }
    return answer.end()
  } catch (error) {
    if (options.signal.aborted) throw options.signal.reason
    throw modelFailure(stalled.signal.aborted ? stalled.signal.reason : error, answer.begun, options.now())
  } finally {
    clearTimeout(timer)
  }
}

/** Collects the parts of one answer. */
class Answer {
  readonly #onText: (text: string) => void
  readonly #parts: StepPart[] = []
  /** The newest of each id: some providers use one again. */
  readonly #thinking = new Map<string, Extract<StepPart, { type: 'thinking' }>>()
  readonly #calls: ModelAnswer['calls'] = []
  #text = ''
  #newBlock = false
  #size = 0
  #finish: Extract<StreamPart, { type: 'finish' }> | null = null
  #responseModel: string | null = null
  begun = false

  constructor(onText: (text: string) => void) {
    this.#onText = onText
  }

  take(part: StreamPart): void {
    switch (part.type) {
      case 'response-metadata':
        this.begun = true
        this.#responseModel = part.modelId ?? null
        break
      case 'text-start':
        this.#newBlock = this.#text !== ''
        this.#parts.push({ type: 'text', text: '' })
        break
      case 'text-delta': {
        if (part.delta === '') break
        const delta = this.#newBlock ? `\n\n${part.delta}` : part.delta
        this.#newBlock = false
        this.#grow(delta.length)
        this.#text += delta
        this.#textPart().text += part.delta
        this.#onText(delta)
        break
      }
      case 'reasoning-start': {
        const block = { type: 'thinking' as const, text: '', metadata: part.providerMetadata ?? null }
        this.#parts.push(block)
        this.#thinking.set(part.id, block)
        break
      }
      case 'reasoning-delta': {
        const block = this.#thinking.get(part.id)
        if (!block) break
        this.#grow(part.delta.length)
        block.text += part.delta
        if (part.providerMetadata) block.metadata = part.providerMetadata
        break
      }
      case 'reasoning-end': {
        // What has to be handed back (a signature, encrypted thinking) may come only now.
        const block = this.#thinking.get(part.id)
        if (block && part.providerMetadata) block.metadata = part.providerMetadata
        break
      }
      case 'tool-input-delta':
        this.#grow(part.delta.length)
        break
      case 'tool-call':
        if (this.#calls.length >= CALLS_LIMIT)
          throw new ModelFailure('invalid_response', `the model's answer has more than ${CALLS_LIMIT} calls`, {
            retryable: false,
          })
        if (part.providerExecuted) break
        this.#parts.push({ type: 'call', index: this.#calls.length })
        this.#calls.push({ id: part.toolCallId, name: part.toolName, input: part.input })
        break
      case 'finish':
        this.#finish = part
        break
      case 'error':
        throw modelFailure(part.error, this.begun, new Date())
    }
  }

  /** Text after something else is a part of its own, also where the provider does not say that it begins. */
  #textPart(): Extract<StepPart, { type: 'text' }> {
    const last = this.#parts.at(-1)
    if (last?.type === 'text') return last
    const part = { type: 'text' as const, text: '' }
    this.#parts.push(part)
    return part
  }

  #grow(characters: number): void {
    this.begun = true
    this.#size += characters
    if (this.#size > ANSWER_LIMIT)
      throw new ModelFailure('invalid_response', `the model's answer is longer than ${ANSWER_LIMIT} characters`, {
        retryable: false,
      })
  }

  /** @throws ModelFailure when this was no whole answer */
  end(): ModelAnswer {
    const finish = this.#finish
    const reason = finish?.finishReason.unified
    if (!finish || reason === 'interrupted' || (reason === 'other' && finish.finishReason.raw === undefined))
      throw new ModelFailure('cut_stream', "the model's answer ended before it was complete", { retryable: true })
    if (reason === 'error')
      throw new ModelFailure('provider_error', 'the model provider stopped the answer with an error', { retryable: true })
    if (reason === 'content-filter')
      throw new ModelFailure('refused', 'the model provider declined to answer this conversation', { retryable: false })
    if (this.#text.trim() === '' && this.#calls.length === 0)
      throw new ModelFailure('empty_answer', 'the model gave an empty answer', { retryable: true })
    const { inputTokens, outputTokens } = finish.usage
    return {
      text: this.#text,
      calls: this.#calls,
      parts: this.#parts,
      finish_reason: finish.finishReason.unified,
      usage: {
        input_tokens: inputTokens.total ?? 0,
        output_tokens: outputTokens.total ?? 0,
        cache_read_tokens: inputTokens.cacheRead ?? 0,
        cache_write_tokens: inputTokens.cacheWrite ?? 0,
      },
      response_model: this.#responseModel,
    }
  }
}

/** Rejects with the signal's reason as soon as it is aborted, also when what it waits for does not heed the signal. */
function untilAborted<T>(work: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).then(() => signal.removeEventListener('abort', abort))
  })
}

import type { LanguageModel } from 'ai'

/** The AI SDK's language model, in the one version of its interface that the loop speaks. */
export type StreamingModel = Extract<LanguageModel, { readonly specificationVersion: 'v4' }>
export type CallOptions = Parameters<StreamingModel['doStream']>[0]
export type StreamResult = Awaited<ReturnType<StreamingModel['doStream']>>
export type StreamPart = StreamResult['stream'] extends ReadableStream<infer Part> ? Part : never
export type Prompt = CallOptions['prompt']
export type PromptMessage = Prompt[number]
export type FinishPart = Extract<StreamPart, { type: 'finish' }>
export type FinishReason = FinishPart['finishReason']['unified']
export type ModelTool = NonNullable<CallOptions['tools']>[number]
export type ProviderOptions = NonNullable<CallOptions['providerOptions']>

/** US dollars per million tokens. What a cache had or took costs what input costs where nothing else is said. */
export interface Price {
  input: number
  output: number
  cache_read?: number | undefined
  cache_write?: number | undefined
}

/** A model as its provider makes it. */
export interface ProviderModel {
  /** `provider/id`, as it stands in records. */
  label: string
  model: StreamingModel
  /** What the provider wants with every call (prompt caching, pings). */
  provider_options: ProviderOptions
}

/** A model that is ready to be called, with what is known of it. */
export interface ResolvedModel extends ProviderModel {
  /** Tokens that one call may hold, question and answer. Infinite: it does not matter. */
  context_window: number
  /** Null: not known. */
  price: Price | null
  /** Name of the model that is asked when this one fails for good; null: none. */
  fallback: string | null
}

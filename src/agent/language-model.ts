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

/** A model that is ready to be called. */
export interface ResolvedModel {
  /** `provider/id`, as it stands in records. */
  label: string
  model: StreamingModel
  /** What the provider wants with every call (prompt caching, pings). */
  provider_options: ProviderOptions
}

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import type { ProviderModel } from '../language-model.ts'

/**
 * A model of any server that speaks OpenAI's Chat Completions (vLLM, llama.cpp, Ollama, a gateway). `base_url` is what stands before
 * `/chat/completions`. A server without keys gets none.
 */
export function compatModel(id: string, options: { api_key: string | null; base_url: string }): ProviderModel {
  const provider = createOpenAICompatible({
    name: 'compat',
    baseURL: options.base_url.replace(/\/+$/, ''),
    ...(options.api_key === null ? {} : { apiKey: options.api_key }),
    includeUsage: true,
  })
  return { label: `compat/${id}`, model: provider.chatModel(id), provider_options: {} }
}

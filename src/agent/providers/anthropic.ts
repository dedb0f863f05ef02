import { createAnthropic } from '@ai-sdk/anthropic'
import type { ProviderModel } from '../language-model.ts'

const DEFAULT_BASE_URL = 'https://api.anthropic.com/v1'

/**
 * A Claude model. Key and address are always given, so that the SDK reads neither from the environment. An address without a
 * version gets `/v1`, as Anthropic's own clients do. The loop calls the model directly and retries itself: there is no second layer
 * of retries below it.
 */
export function anthropicModel(id: string, options: { api_key: string; base_url: string | null }): ProviderModel {
  const address = options.base_url?.replace(/\/+$/, '')
  const baseURL = address ? (/\/v\d+$/.test(address) ? address : `${address}/v1`) : DEFAULT_BASE_URL
  return {
    label: `anthropic/${id}`,
    model: createAnthropic({ apiKey: options.api_key, baseURL }).languageModel(id),
    // Caching: every step sends the whole conversation again. Pings show that a silent model (long thinking) is alive. Input of tools
    // streamed as it is written would come unchecked, more often broken; nobody watches it here.
    provider_options: { anthropic: { cacheControl: { type: 'ephemeral' }, includePings: true, toolStreaming: false } },
  }
}

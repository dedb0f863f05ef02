import { createOpenAI } from '@ai-sdk/openai'
import type { ProviderModel } from '../language-model.ts'

const DEFAULT_BASE_URL = 'https://api.openai.com/v1'

/**
 * A model of OpenAI's, over its Responses API. Nothing is stored there (`store: false`): the whole conversation is sent each time, and
 * thinking comes back encrypted, to be handed on with the next call. Key and address are always given, so that the SDK reads neither
 * from the environment. The loop retries itself: there is no second layer of retries below it.
 */
export function openaiModel(id: string, options: { api_key: string; base_url: string | null }): ProviderModel {
  const baseURL = options.base_url?.replace(/\/+$/, '') ?? DEFAULT_BASE_URL
  return {
    label: `openai/${id}`,
    model: createOpenAI({ apiKey: options.api_key, baseURL }).responses(id),
    // Schemas are not "strict" ones: those must not have optional arguments.
    provider_options: { openai: { store: false, strictJsonSchema: false } },
  }
}

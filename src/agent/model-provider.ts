import { errors } from '../domain/errors.ts'
import type { Price, ProviderModel, ResolvedModel } from './language-model.ts'
import { anthropicModel } from './providers/anthropic.ts'
import { compatModel } from './providers/compat.ts'
import { openaiModel } from './providers/openai.ts'
import { scriptedModel } from './providers/scripted/scripted-model.ts'

/** What the composition root knows about models. */
export interface ModelConfig {
  /** Model of sessions that name none, `provider/id`; null: of the first provider that has a key, else the shipped script. */
  default_model: string | null
  anthropic: { api_key: string; base_url: string | null } | null
  openai: { api_key: string; base_url: string | null } | null
  /** Any server that speaks OpenAI's Chat Completions. */
  compat: { api_key: string | null; base_url: string } | null
  /** Folder of `<name>.json` for `scripted/<name>`, besides what is shipped; null: none. */
  scripts_folder: string | null
  /** What the administrator says of models, by `provider/id`. */
  settings: Readonly<Record<string, ModelSettings>>
}

export interface ModelSettings {
  context_window?: number | undefined
  price?: Price | undefined
  fallback?: string | undefined
}

/** Of a model of which nothing is said. */
const CONTEXT_WINDOW = {
  anthropic: 200_000,
  openai: 400_000,
  compat: 128_000,
  scripted: Number.POSITIVE_INFINITY,
} satisfies Record<string, number>

export const DEFAULT_ANTHROPIC_MODEL = 'anthropic/claude-sonnet-5-5'
export const DEFAULT_OPENAI_MODEL = 'openai/gpt-5.5'
export const DEFAULT_SCRIPT = 'scripted/default'

export interface Models {
  /** What a session without a model of its own uses. */
  readonly default_name: string
  /** @throws CloisterError invalid_argument that says which models there are, and what a missing one needs */
  resolve(name: string | null): ResolvedModel
}

/** Models by name: `anthropic/<id>`, `openai/<id>`, `compat/<id>`, `scripted/<name>`. */
export class ModelProviders implements Models {
  readonly #config: ModelConfig

  constructor(config: ModelConfig) {
    this.#config = config
  }

  get default_name(): string {
    const { default_model, anthropic, openai } = this.#config
    return default_model ?? (anthropic ? DEFAULT_ANTHROPIC_MODEL : openai ? DEFAULT_OPENAI_MODEL : DEFAULT_SCRIPT)
  }

  resolve(name: string | null): ResolvedModel {
    return resolveModel(name ?? this.default_name, this.#config)
  }
}

/** @throws CloisterError invalid_argument */
export function resolveModel(name: string, config: ModelConfig): ResolvedModel {
  const model = providerModel(name, config)
  const { context_window, price, fallback } = config.settings[name] ?? {}
  const provider = name.slice(0, name.indexOf('/')) as keyof typeof CONTEXT_WINDOW
  return {
    ...model,
    context_window: context_window ?? CONTEXT_WINDOW[provider],
    price: price ?? (provider === 'scripted' ? { input: 0, output: 0 } : null),
    fallback: fallback ?? null,
  }
}

const ACCEPTED = 'anthropic/<model id>, openai/<model id>, compat/<model id> or scripted/<script>'

function providerModel(name: string, config: ModelConfig): ProviderModel {
  const [, provider, id] = /^([a-z][a-z0-9_-]*)\/([A-Za-z0-9][A-Za-z0-9._:@/-]{0,127})$/.exec(name) ?? []
  // Names with a slash are a compatible server's own: everywhere else one would be a path.
  if (!provider || !id || (provider !== 'compat' && id.includes('/')))
    throw errors.invalidArgument(`${JSON.stringify(name.slice(0, 200))} names no model: write ${ACCEPTED}`)
  const needs = (variable: string) =>
    errors.invalidArgument(`${name} needs ${variable} in the server's environment; without it there is scripted/<script>`)
  switch (provider) {
    case 'anthropic':
      if (!config.anthropic) throw needs('ANTHROPIC_API_KEY')
      return anthropicModel(id, config.anthropic)
    case 'openai':
      if (!config.openai) throw needs('OPENAI_API_KEY')
      return openaiModel(id, config.openai)
    case 'compat':
      if (!config.compat) throw needs('CLOISTER_COMPAT_BASE_URL')
      return compatModel(id, config.compat)
    case 'scripted':
      return scriptedModel(id, config.scripts_folder)
    default:
      throw errors.invalidArgument(`there is no provider ${JSON.stringify(provider)}: write ${ACCEPTED}`)
  }
}

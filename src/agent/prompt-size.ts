import type { ModelTool, Prompt, ResolvedModel } from './language-model.ts'
import type { TurnStep } from './turn-step.ts'

/** Tokens that a character of a prompt has, as long as no provider counted any: about 3.3 characters a token. */
const FIRST_RATIO = 0.3
/** Of the window, what is left for the answer: so many tokens, or a quarter where that is less. */
const ANSWER = 16_000
/** A provider that does not take even so many tokens means something else. */
const SMALLEST_WINDOW = 2_000

/** How large prompts are for a model. Estimates, by what its provider counted last. */
export class PromptSize {
  readonly #toolChars: number
  /** Tokens of a character. */
  #ratio = FIRST_RATIO
  /** Share of the declared window that is believed: less after a provider said that a prompt was too long. */
  #share = 1

  constructor(tools: readonly ModelTool[]) {
    this.#toolChars = JSON.stringify(tools).length
  }

  /** Learns from the newest step whose prompt was counted. */
  calibrate(steps: readonly TurnStep[]): void {
    const counted = steps.findLast((step) => step.prompt_chars > 0 && step.input_tokens > 0)
    if (counted) this.#ratio = Math.min(Math.max(counted.input_tokens / counted.prompt_chars, 0.05), 1.5)
  }

  /** Tokens that a prompt may have. */
  window({ context_window }: ResolvedModel): number {
    return (context_window - Math.min(ANSWER, context_window / 4)) * this.#share
  }

  characters(prompt: Prompt): number {
    return JSON.stringify(prompt).length + this.#toolChars
  }

  tokens(prompt: Prompt): number {
    return Math.ceil(this.characters(prompt) * this.#ratio)
  }

  /** How many characters so many tokens are. */
  charactersOf(tokens: number): number {
    return tokens / this.#ratio
  }

  /** The provider takes less than was declared: the next prompt must be smaller, by `factor`. False: it is as small as it may be. */
  shrink(prompt: Prompt, model: ResolvedModel, factor: number): boolean {
    const fits = (this.tokens(prompt) / this.window(model)) * this.#share
    this.#share = Math.min(this.#share, fits) * factor
    return this.window(model) > SMALLEST_WINDOW
  }

  /** For another model, whose window is believed. */
  reset(): void {
    this.#share = 1
  }
}

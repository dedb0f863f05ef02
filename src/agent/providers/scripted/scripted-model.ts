import { setTimeout as delay } from 'node:timers/promises'
import type { CallOptions, Prompt, ProviderModel, StreamingModel, StreamPart, StreamResult } from '../../language-model.ts'
import { loadScript, type Script, type ScriptStep } from './script.ts'

const CHUNK = 16
const NO_TOKENS = {
  inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 0, text: 0, reasoning: 0 },
}

/** The provider `scripted`: plays a file of steps. No intelligence, no network. @throws CloisterError invalid_argument */
export function scriptedModel(name: string, folder: string | null): ProviderModel {
  return { label: `scripted/${name}`, model: new ScriptedModel(name, loadScript(name, folder)), provider_options: {} }
}

/**
 * Where the script is follows from the conversation alone, so that a turn goes on after a restart as with any other model.
 */
export class ScriptedModel implements StreamingModel {
  readonly specificationVersion = 'v4'
  readonly provider = 'scripted'
  readonly supportedUrls = {}
  readonly modelId: string
  readonly #script: Script

  constructor(name: string, script: Script) {
    this.modelId = name
    this.#script = script
  }

  async doGenerate(): Promise<never> {
    throw new Error('the scripted model is only streamed')
  }

  async doStream(options: CallOptions): Promise<StreamResult> {
    options.abortSignal?.throwIfAborted()
    const answer = this.#answer(options.prompt)
    return { stream: ReadableStream.from(this.#parts(answer, options)) as StreamResult['stream'] }
  }

  async *#parts(
    answer: { text: string; calls: ScriptStep['call']; id: number },
    options: CallOptions,
  ): AsyncGenerator<StreamPart> {
    yield { type: 'stream-start', warnings: [] }
    yield { type: 'response-metadata', modelId: this.modelId }
    if (answer.text !== '') {
      yield { type: 'text-start', id: '0' }
      for (let at = 0; at < answer.text.length; at += CHUNK) {
        await delay(this.#script.chunk_delay_ms, undefined, options.abortSignal ? { signal: options.abortSignal } : {})
        yield { type: 'text-delta', id: '0', delta: answer.text.slice(at, at + CHUNK) }
      }
      yield { type: 'text-end', id: '0' }
    }
    for (const [index, call] of answer.calls.entries())
      yield {
        type: 'tool-call',
        toolCallId: `scripted_${answer.id}_${index}`,
        toolName: modelName(call.tool),
        input: JSON.stringify(call.args),
      }
    const unified = answer.calls.length > 0 ? 'tool-calls' : 'stop'
    yield { type: 'finish', finishReason: { unified, raw: unified }, usage: NO_TOKENS }
  }

  #answer(prompt: Prompt): { text: string; calls: ScriptStep['call']; id: number } {
    const turn = lastTurn(prompt)
    const steps = this.#script.steps.filter((step) => step.when?.test(turn.user) ?? true)
    let position = 0
    for (const results of [[], ...turn.results]) {
      const next = findFrom(steps, position, results)
      position = next === -1 ? steps.length + 1 : next + 1
    }
    const results = turn.results.at(-1) ?? []
    const step = steps[position - 1]
    const intro = prompt.some((message) => message.role === 'assistant')
      ? ''
      : `I am a script, not a model: I play the steps of "${this.modelId}" and understand nothing.\n\n`
    const id = prompt.filter((message) => message.role === 'assistant').length
    if (step) return { text: (intro + fill(step.say, results.at(-1))).trimEnd(), calls: step.call, id }
    const last = results.at(-1)
    const what = last
      ? `the last call (${last.tool}) came to "${last.status}", and the script has no step for that: ${last.text.slice(0, 500)}`
      : 'the script has no step for this message'
    return { text: `${intro}I stop here: ${what}`, calls: [], id }
  }
}

interface Result {
  tool: string
  status: string
  text: string
}

/** The last user message, and the results of each answer since. */
function lastTurn(prompt: Prompt): { user: string; results: Result[][] } {
  const start = prompt.findLastIndex((message) => message.role === 'user')
  const message = prompt[start]
  const user = message?.role === 'user' ? message.content.map((part) => (part.type === 'text' ? part.text : '')).join('\n') : ''
  const results: Result[][] = []
  for (const entry of prompt.slice(start + 1)) {
    if (entry.role === 'assistant') results.push([])
    if (entry.role !== 'tool') continue
    for (const part of entry.content) {
      if (part.type !== 'tool-result') continue
      const text = part.output.type === 'text' || part.output.type === 'error-text' ? part.output.value : ''
      const status = field(text, 'status')
      results.at(-1)?.push({ tool: part.toolName, status: typeof status === 'string' ? status : 'failed', text })
    }
  }
  return { user: user.slice(0, 10_000), results }
}

function findFrom(steps: readonly ScriptStep[], position: number, results: readonly Result[]): number {
  return steps.findIndex((step, index) => index >= position && fits(step.expect, results))
}

function fits(expect: ScriptStep['expect'], results: readonly Result[]): boolean {
  if (!expect) return true
  const tool = expect.tool === undefined ? null : modelName(expect.tool)
  const result = results.findLast((candidate) => tool === null || candidate.tool === tool)
  if (!result) return false
  return (expect.status ?? result.status) === result.status && (expect.result?.test(result.text) ?? true)
}

function fill(text: string, result: Result | undefined): string {
  return text.replace(/\{\{([\w.]+)\}\}/g, (_, path: string) => {
    const value = result ? field(result.text, path) : undefined
    return value === undefined ? `(no ${path})` : typeof value === 'string' ? value : JSON.stringify(value)
  })
}

/** A field of a result by its dotted path; undefined also when a long result was cut and is no JSON any more. */
function field(text: string, path: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return path === 'status' ? /^\{"status":"(\w+)"/.exec(text)?.[1] : undefined
  }
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

function modelName(tool: string): string {
  return tool.replaceAll('.', '_')
}

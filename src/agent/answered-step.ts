import type { ToolNames } from '../domain/tool-names.ts'
import type { ModelAnswer } from './model-call.ts'
import type { StepCall, StepPart, TurnStep } from './turn-step.ts'

/** Levels of one call's input. What walks it afterwards walks it recursively. */
const MAX_DEPTH = 100

/** A model's answer as a step whose calls are still to be made. What is not a JSON object is kept as it was written. */
export function answeredStep(
  answer: ModelAnswer,
  options: { step: number; model: string; prompt_chars: number; names: ToolNames; redact: <T>(value: T) => T },
): TurnStep {
  const { step, model, prompt_chars, names, redact } = options
  const taken = new Set<string>()
  const calls = answer.calls.map((call, index): StepCall => {
    // Results are tied to calls by this id: an empty or repeated one would tie them wrongly.
    const id = /^[a-zA-Z0-9_-]{1,128}$/.test(call.id) && !taken.has(call.id) ? call.id : `call_${step}_${index}`
    taken.add(id)
    const tool_name = names.fromModel(call.name) ?? call.name.slice(0, 128)
    return { id, tool_name, ...parseInput(call.input), invocation_id: null, result: null }
  })
  const said = redact({
    step,
    model,
    text: answer.text.toWellFormed(),
    calls,
    finish_reason: answer.finish_reason,
    input_tokens: answer.usage.input_tokens,
    output_tokens: answer.usage.output_tokens,
    prompt_chars,
  })
  return { ...said, parts: orderedParts(answer, redact) }
}

/** Thinking is signed by its provider, all of an answer together: where a secret would have to be taken out, none of it is kept. */
function orderedParts(answer: ModelAnswer, redact: <T>(value: T) => T): StepPart[] {
  const kept = answer.parts.every((part) => part.type !== 'thinking' || redact(part.text) === part.text)
  return answer.parts.flatMap((part): StepPart[] => {
    if (part.type === 'text') return [{ type: 'text', text: redact(part.text.toWellFormed()) }]
    return part.type === 'call' || kept ? [part] : []
  })
}

function parseInput(input: string): Pick<StepCall, 'args' | 'malformed'> {
  if (input.trim() === '') return { args: {}, malformed: null }
  const malformed = (reason: string) => ({ args: null, malformed: { input: input.slice(0, 10_000).toWellFormed(), reason } })
  try {
    const value: unknown = JSON.parse(input)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return malformed('it is JSON, but not an object')
    if (isDeeperThan(value, MAX_DEPTH)) return malformed(`it is nested deeper than ${MAX_DEPTH} levels`)
    return { args: value as Record<string, unknown>, malformed: null }
  } catch (error) {
    return malformed((error as SyntaxError).message.slice(0, 300))
  }
}

/** Level by level, not recursively: that is what the depth is measured for. */
function isDeeperThan(value: unknown, limit: number): boolean {
  let level = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
  return false
}

import { z } from 'zod'

/**
 * One model call of a turn and what came of the tool calls in it: the unit that is kept so that a turn goes on after a restart.
 * Everything in it is redacted before it gets here.
 */
export interface TurnStep {
  /** From 1. */
  step: number
  /** Label of the model that answered. */
  model: string
  text: string
  calls: StepCall[]
  /** Text, calls and what the model thought, in the order in which they came. Absent: the text, then the calls. */
  parts?: StepPart[] | undefined
  finish_reason: string
  input_tokens: number
  output_tokens: number
  /** Characters of the prompt that the provider counted `input_tokens` of; 0: not known. */
  prompt_chars: number
}

export type StepPart =
  /** Given back to the same model while the turn lasts. `metadata` is the provider's own (a signature, thinking that only it can read). */
  | { type: 'thinking'; text: string; metadata: Record<string, unknown> | null }
  | { type: 'text'; text: string }
  /** Position in `calls`. */
  | { type: 'call'; index: number }

export interface StepCall {
  /** The model's name for this call: it ties the result to it. */
  id: string
  /** Canonical (`fs.read`); what the model wrote when there is no such tool. */
  tool_name: string
  /** Null when what the model wrote was not a JSON object: see `malformed`. */
  args: Record<string, unknown> | null
  malformed: { input: string; reason: string } | null
  invocation_id: string | null
  /** Null: not known yet. */
  result: CallResult | null
}

/** What the model is told about a call. */
export interface CallResult {
  ok: boolean
  /** Of the invocation; `not_called` when the call never reached the gate, `interrupted` when the turn was stopped before it ended. */
  status: 'succeeded' | 'failed' | 'denied' | 'not_called' | 'interrupted'
  text: string
}

/** Are all of its calls answered? */
export function isDone(step: TurnStep): boolean {
  return step.calls.every((call) => call.result !== null)
}

export function textThenCalls({ text, calls }: Pick<TurnStep, 'text' | 'calls'>): StepPart[] {
  return [{ type: 'text', text: text.trimEnd() }, ...calls.map((_, index) => ({ type: 'call' as const, index }))]
}

const callSchema = z.object({
  id: z.string(),
  tool_name: z.string(),
  args: z.record(z.string(), z.unknown()).nullable(),
  malformed: z.object({ input: z.string(), reason: z.string() }).nullable(),
  invocation_id: z.string().nullable(),
  result: z
    .object({ ok: z.boolean(), status: z.enum(['succeeded', 'failed', 'denied', 'not_called', 'interrupted']), text: z.string() })
    .nullable(),
})

/** What is read back from the log about a step of a turn that is over. */
export const pastStepSchema = z.object({ turn_id: z.string(), step: z.number(), text: z.string(), calls: z.array(callSchema) })

const thinkingSchema = z.object({ text: z.string(), metadata: z.record(z.string(), z.unknown()).nullable() })

/** What is read back from the store about a turn that is not over. */
export const turnStepSchema: z.ZodType<TurnStep> = z
  .object({
    step: z.number(),
    model: z.string(),
    text: z.string(),
    /** Of an older server, which kept no order: it sent thinking first. */
    reasoning: z.array(thinkingSchema).default([]),
    calls: z.array(callSchema),
    parts: z
      .array(
        z.discriminatedUnion('type', [
          thinkingSchema.extend({ type: z.literal('thinking') }),
          z.object({ type: z.literal('text'), text: z.string() }),
          z.object({ type: z.literal('call'), index: z.number() }),
        ]),
      )
      .optional(),
    finish_reason: z.string(),
    input_tokens: z.number(),
    output_tokens: z.number(),
    prompt_chars: z.number().default(0),
  })
  .transform(({ reasoning, ...step }) => {
    if (step.parts || reasoning.length === 0) return step
    const thinking = reasoning.map((block) => ({ type: 'thinking' as const, ...block }))
    return { ...step, parts: [...thinking, ...textThenCalls(step)] }
  })

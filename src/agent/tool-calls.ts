import { CloisterError } from '../domain/errors.ts'
import type { Invocation } from '../domain/invocation.ts'
import { notCalled, renderInvocation, renderRefusal } from './call-result.ts'
import { repetitionNote, timesFailed } from './repetition.ts'
import type { TurnMeter } from './turn-meter.ts'
import type { CallResult, StepCall, TurnStep } from './turn-step.ts'
import type { TurnTask, Wait } from './turn-task.ts'

/** Calls of one answer that are made; the rest are answered with an error. */
const MAX_CALLS = 32
/** Calls that run at the same time. Below the session's own limit, so that a person can act beside the agent. */
const MAX_PARALLEL = 4

/**
 * Makes the calls of the last step that have no result yet. In the order of the answer; those next to each other that change
 * nothing run at the same time. Each result is durable before a call that comes after it begins.
 */
export async function makeCalls(task: TurnTask, steps: readonly TurnStep[], meter: TurnMeter): Promise<TurnStep> {
  const readOnly = readOnlyTools(task)
  const before = steps.slice(0, -1)
  let current = steps.at(-1) as TurnStep
  let persisted = Promise.resolve()
  const take = (index: number, made: Made) => {
    const answered = { ...(current.calls[index] as StepCall), ...made }
    const note = made.result.ok
      ? null
      : repetitionNote(timesFailed([...before, withCall(current, index, answered)], answered, readOnly))
    const result = note ? { ...made.result, text: `${made.result.text}\n${note}` } : made.result
    current = withCall(current, index, { ...answered, result })
    const step = current
    persisted = persisted.then(() => task.persist({ kind: 'result', step, spent: meter.spent() }))
    return persisted
  }
  for (const group of groups(current.calls, readOnly)) {
    task.signal.throwIfAborted()
    const step = current
    await inParallel(group, async (index) => {
      const { waited, ...made } = await makeCall(task, step, index)
      // Before the result is stored, with what was spent: the next server may have nothing else to go by.
      if (waited) meter.exempt(waited)
      await take(index, made)
    })
  }
  return current
}

/** Names of the tools that change nothing. */
export function readOnlyTools(task: Pick<TurnTask, 'tools'>): Set<string> {
  return new Set(task.tools.filter((tool) => tool.side_effects === 'none').map((tool) => tool.name))
}

/** Positions of calls without result: runs of read-only ones together, any other alone. */
function groups(calls: readonly StepCall[], readOnly: ReadonlySet<string>): number[][] {
  const found: number[][] = []
  let open = false
  for (const [index, call] of calls.entries()) {
    if (call.result) continue
    const parallel = readOnly.has(call.tool_name)
    if (parallel && open) found.at(-1)?.push(index)
    else found.push([index])
    open = parallel
  }
  return found
}

/** Waits for all that began, also when one fails: nothing may act after the turn was left. Throws the first failure. */
async function inParallel(indexes: readonly number[], run: (index: number) => Promise<void>): Promise<void> {
  const waiting = [...indexes]
  const failures: unknown[] = []
  const worker = async () => {
    for (let index = waiting.shift(); index !== undefined && failures.length === 0; index = waiting.shift())
      await run(index).catch((error: unknown) => failures.push(error))
  }
  await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, waiting.length) }, worker))
  if (failures.length > 0) throw failures[0]
}

type Made = { result: CallResult; invocation_id: string | null }

async function makeCall(task: TurnTask, step: TurnStep, index: number): Promise<Made & { waited: Wait | null }> {
  const call = step.calls[index] as StepCall
  const refuse = (code: string, message: string) => ({
    result: task.redact(notCalled(code, message)),
    invocation_id: null,
    waited: null,
  })
  if (!task.tools.some((tool) => tool.name === call.tool_name))
    return refuse(
      'not_found',
      `there is no tool ${JSON.stringify(call.tool_name)} in this session: use one of those you were given`,
    )
  if (index >= MAX_CALLS)
    return refuse('rate_limited', `only the first ${MAX_CALLS} calls of an answer are made: send this one again`)
  if (call.args === null) {
    const cut = step.finish_reason === 'length' ? ' Your answer was cut at its length limit: write less in one call.' : ''
    return refuse(
      'invalid_argument',
      `the input is not a JSON object: ${call.malformed?.reason}. Nothing was done; send the call again.${cut}`,
    )
  }
  try {
    const { invocation, waited } = await task.invoke({ step: step.step, index, tool_name: call.tool_name, args: call.args })
    return { result: task.redact(renderInvocation(invocation)), invocation_id: invocation.id, waited }
  } catch (error) {
    // A store that is away is no answer to the model: the turn waits for it and goes on from what is stored.
    if (!(error instanceof CloisterError) || error.code === 'store_unavailable' || task.signal.aborted) throw error
    const refused = error as CloisterError & { invocation?: Invocation }
    return { result: task.redact(renderRefusal(error)), invocation_id: refused.invocation?.id ?? null, waited: null }
  }
}

function withCall(step: TurnStep, index: number, call: StepCall): TurnStep {
  return { ...step, calls: step.calls.map((other, at) => (at === index ? call : other)) }
}

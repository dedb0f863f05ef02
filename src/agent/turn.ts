import { ModelCaller } from './model-caller.ts'
import { endlessRepetition } from './repetition.ts'
import { makeCalls, readOnlyTools } from './tool-calls.ts'
import { TurnMeter } from './turn-meter.ts'
import { isDone } from './turn-step.ts'
import type { TurnOutcome, TurnTask } from './turn-task.ts'

/**
 * One turn: model call, its tool calls, model call, until the model answers without calls or a limit is met. Knows the model only as a
 * streamed call and tools only as `invoke`; what it is given decides what is allowed. A model that fails is an outcome, not an
 * exception. Rejects with the signal's reason when aborted, and with whatever `persist`, `readInstructions` or `invoke` threw that is
 * not a refusal; `steps` of the last `persist` is then where to go on.
 */
export async function runTurn(task: TurnTask): Promise<TurnOutcome> {
  const steps = [...task.steps]
  const meter = new TurnMeter(task)
  const caller = new ModelCaller(task, meter)
  const readOnly = readOnlyTools(task)
  for (;;) {
    task.signal.throwIfAborted()
    const last = steps.at(-1)
    if (last && !isDone(last)) {
      steps.splice(-1, 1, await makeCalls(task, steps, meter))
    } else if (last && last.calls.length === 0) {
      const note = last.finish_reason === 'length' ? "the answer was cut at the model's output limit" : null
      return { status: 'completed', text: last.text, note }
    } else {
      const reason = endlessRepetition(steps, readOnly) ?? meter.reached()
      if (reason) return { status: 'limited', reason }
      const next = await caller.nextStep(steps)
      if ('status' in next) return next
      steps.push(next)
    }
  }
}

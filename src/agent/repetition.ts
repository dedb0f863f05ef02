import { canonicalJson } from '../domain/canonical-json.ts'
import type { StepCall, TurnStep } from './turn-step.ts'

/** The same call, failing again: from this many times on its result says so. */
export const WARN_AFTER = 3
/** From this many times on the turn ends. */
export const END_AFTER = 5

/**
 * How often this turn made the same call in vain, this time included. Counted since the last call that changed something: after a
 * change, what failed before may succeed. `readOnly`: names of tools that change nothing.
 */
export function timesFailed(steps: readonly TurnStep[], call: StepCall, readOnly: ReadonlySet<string>): number {
  if (!hasFailed(call)) return 0
  const key = keyOf(call)
  let times = 0
  for (const other of steps.flatMap((step) => step.calls)) {
    if (other.result?.ok && !readOnly.has(other.tool_name)) times = 0
    else if (hasFailed(other) && keyOf(other) === key) times++
  }
  return times
}

/** Null, or why the turn must end: the last step made a call that has failed in the same way too often. */
export function endlessRepetition(steps: readonly TurnStep[], readOnly: ReadonlySet<string>): string | null {
  for (const call of steps.at(-1)?.calls ?? []) {
    const times = timesFailed(steps, call, readOnly)
    if (times >= END_AFTER)
      return `the agent made the same call ${times} times, and it failed each time: ${JSON.stringify(call.tool_name)} (invocation ${call.invocation_id ?? 'none: it never reached the gate'})`
  }
  return null
}

/** What a result says besides when the call has failed before. Null: nothing. */
export function repetitionNote(times: number): string | null {
  if (times < WARN_AFTER) return null
  return `[Cloister: this same call has failed ${times} times. Do something else, or tell the user what is in the way: after ${END_AFTER} times the turn ends.]`
}

function hasFailed(call: StepCall): boolean {
  return call.result !== null && !call.result.ok && call.result.status !== 'interrupted'
}

function keyOf(call: StepCall): string {
  return canonicalJson([call.tool_name, call.args ?? call.malformed?.input ?? null])
}

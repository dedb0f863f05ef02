import { cutMiddle } from '../../agent/call-result.ts'
import { excerpt, type PastStep, type PastTurn } from '../../agent/context.ts'
import { pastStepSchema, type TurnStep } from '../../agent/turn-step.ts'
import type { Message } from '../../domain/message.ts'
import type { EventLog } from '../event-log.ts'

/** Events read at once. */
const PAGE = 500
/** Characters of one answer that the log keeps with its step; a final answer is a message besides. */
const RECORDED_TEXT = 20_000

/** What `turn.step` records of a step: enough to remember the conversation by, without the whole outputs. */
export function stepEvent(turnId: string, step: TurnStep): Record<string, unknown> {
  const text = cutMiddle(step.text, RECORDED_TEXT)
  return { turn_id: turnId, step: step.step, text, finish_reason: step.finish_reason, calls: step.calls.map(excerpt) }
}

/** The turns before this one, in the order of their messages, from the messages and the log. */
export async function pastTurns(
  eventLog: EventLog,
  sessionId: string,
  messages: readonly Message[],
  turnId: string,
): Promise<PastTurn[]> {
  const steps = await recordedSteps(eventLog, sessionId)
  return messages
    .filter((message) => message.role === 'user' && message.turn_id !== null && message.turn_id !== turnId)
    .map((message) => ({
      user: message.content,
      steps: steps.get(message.turn_id as string) ?? [],
      notes: messages.filter((other) => other.role === 'system' && other.turn_id === message.turn_id).map((note) => note.content),
    }))
}

async function recordedSteps(eventLog: EventLog, sessionId: string): Promise<Map<string, PastStep[]>> {
  const byTurn = new Map<string, PastStep[]>()
  for (let after = 0; ; ) {
    const events = await eventLog.list(sessionId, after, PAGE)
    for (const event of events) {
      if (event.type !== 'turn.step') continue
      const step = pastStepSchema.parse(event.data)
      byTurn.set(step.turn_id, [...(byTurn.get(step.turn_id) ?? []), step])
    }
    const last = events.at(-1)
    if (!last || events.length < PAGE) return byTurn
    after = last.seq
  }
}

import { z } from 'zod'
import { cutMiddle } from '../../agent/call-result.ts'
import { type Compaction, type CompactionRecord, compacted, NOT_COMPACTED } from '../../agent/compaction.ts'
import { excerpt } from '../../agent/context.ts'
import type { PastStep, PastTurn } from '../../agent/past-turn.ts'
import { pastStepSchema, type TurnStep } from '../../agent/turn-step.ts'
import type { Message } from '../../domain/message.ts'
import type { EventLog } from '../event-log.ts'

/** Events read at once. */
const PAGE = 500
/** Characters of one answer that the log keeps with its step; a final answer is a message besides. */
const RECORDED_TEXT = 20_000

/**
 * What the log has of a step: enough to remember the conversation by, without the whole outputs. `turn.answered` has it before its calls are
 * made, without results; `turn.step` when all are over, which an answer without calls is at once.
 */
export function stepEvent(turnId: string, step: TurnStep): Record<string, unknown> {
  const text = cutMiddle(step.text, RECORDED_TEXT)
  return { turn_id: turnId, step: step.step, text, finish_reason: step.finish_reason, calls: step.calls.map(excerpt) }
}

/** What `context.compacted` records: what the model no longer sees whole, and what it sees instead. */
export function compactedEvent(turnId: string, record: CompactionRecord): Record<string, unknown> {
  const { text, ...rest } = record
  return { turn_id: turnId, ...rest, ...(text === null ? {} : { text: cutMiddle(text, RECORDED_TEXT) }) }
}

const compactedSchema = z.object({
  kind: z.enum(['outputs', 'summary']),
  through: z.object({ turn_id: z.string(), step: z.number().nullable() }),
  text: z.string().nullable().default(null),
})

/** The turns before this one, in the order of their messages, and how much of the conversation the model still sees. */
export async function history(
  eventLog: EventLog,
  sessionId: string,
  messages: readonly Message[],
  turnId: string,
): Promise<{ past: PastTurn[]; compaction: Compaction }> {
  const { steps, compaction } = await recorded(eventLog, sessionId)
  const past = messages
    .filter((message) => message.role === 'user' && message.turn_id !== null && message.turn_id !== turnId)
    .map((message) => ({
      turn_id: message.turn_id as string,
      user: message.content,
      steps: steps.get(message.turn_id as string) ?? [],
      notes: messages.filter((other) => other.role === 'system' && other.turn_id === message.turn_id).map((note) => note.content),
    }))
  return { past, compaction }
}

async function recorded(
  eventLog: EventLog,
  sessionId: string,
): Promise<{ steps: Map<string, PastStep[]>; compaction: Compaction }> {
  const steps = new Map<string, PastStep[]>()
  let compaction = NOT_COMPACTED
  for (let after = 0; ; ) {
    const events = await eventLog.list(sessionId, after, PAGE)
    for (const { type, data } of events) {
      if (type === 'context.compacted') compaction = compacted(compaction, compactedSchema.parse(data))
      if (type !== 'turn.step') continue
      const step = pastStepSchema.parse(data)
      steps.set(step.turn_id, [...(steps.get(step.turn_id) ?? []), step])
    }
    const last = events.at(-1)
    if (!last || events.length < PAGE) return { steps, compaction }
    after = last.seq
  }
}

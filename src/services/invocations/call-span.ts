import { contextOf, failed, inSpan } from '../../telemetry/tracing.ts'
import type { GateCall } from './gate-call.ts'

/** A call in the gate, in the trace that stands on its record, under the names that its tool has for it. */
export function inCallSpan<T>(call: GateCall, work: () => Promise<T>): Promise<T> {
  const { id, session_id, tool_name, turn_id, actor, trace_name, span_name } = call.record
  const attributes = {
    'cloister.session_id': session_id,
    'cloister.invocation_id': id,
    'cloister.tool_name': tool_name,
    'cloister.actor_kind': actor.kind,
    ...(turn_id !== null && { 'cloister.turn_id': turn_id }),
  }
  return inSpan(span_name, { tracer: trace_name, attributes, parent: contextOf(call.record) }, async (span) => {
    const result = await work()
    // The record is another one by then: a tool that ran and failed throws nothing.
    span.setAttribute('cloister.status', call.record.status)
    if (call.record.error) failed(span, call.record.error.code)
    return result
  })
}

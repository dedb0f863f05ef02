import type { Event } from '../client/cloister-client.ts'
import { argsLine, cut, duration, size } from './render.ts'
import { plainLine } from './terminal-text.ts'

/** One event on one line: number, time, type, who, and what matters of it. All of it is in the JSON. */
export function eventLine(event: Event): string {
  const line = `${String(event.seq).padStart(4)}  ${event.at.slice(11, 23)}  ${event.type.padEnd(21)}  ${who(event).padEnd(6)}  ${what(event)}`
  return plainLine(cut(line, 180)).trimEnd()
}

function who({ actor }: Event): string {
  return actor.kind === 'user' ? (actor.id.split('/').at(-1) ?? actor.id) : actor.kind
}

function what({ type, data }: Event): string {
  const text = (name: string) => (data[name] === undefined || data[name] === null ? '' : String(data[name]))
  const because = text('reason') === '' ? '' : `: ${text('reason')}`
  switch (type) {
    case 'session.state_changed':
    case 'session.deleted':
      return `${text('from')} -> ${text('to')}${because}`
    case 'sandbox.started':
      return `${text('kind')}, generation ${text('generation')}, isolation ${String((data['isolation'] as { level?: unknown } | null)?.level ?? 'none')}`
    case 'sandbox.stopped':
    case 'sandbox.lost':
      return `${text('kind')}, generation ${text('generation')}${because}`
    case 'message.created':
      return `${text('role')}: ${cut(text('content'), 80)}`
    case 'message.denied':
      return `${text('kind')} of ${text('characters')} characters${because}`
    case 'context.compacted': {
      const how = text('kind') === 'summary' ? 'a summary replaces the oldest part' : 'old outputs are cut'
      return `${how}: ${text('tokens_before')} -> ${text('tokens_after')} tokens`
    }
    case 'turn.completed':
      return `${text('status')} after ${text('steps')} steps${because}`
    case 'turn.answered': {
      const calls = (data['calls'] ?? []) as { tool_name: string }[]
      return `step ${text('step')}: ${cut(text('text'), 80)} -> ${calls.map(({ tool_name }) => tool_name).join(', ')}`
    }
    case 'turn.step':
      return `step ${text('step')}: ${cut(text('text'), 80)}`
    case 'model.called':
      return `${text('model')}, ${text('latency_ms')} ms, ${problem(data['error'], text('finish_reason'))}`
    case 'invocation.requested':
    case 'approval.requested':
      return `${text('tool_name')} ${argsLine((data['args'] ?? {}) as Record<string, unknown>, 48)}`
    case 'invocation.started':
      return `${text('tool_name')} ${text('invocation_id')}`
    case 'invocation.completed':
    case 'invocation.denied': {
      const took = typeof data['duration_ms'] === 'number' ? `, ${duration(data['duration_ms'])}` : ''
      return `${text('tool_name')} ${problem(data['error'], text('status'))}${took}`
    }
    case 'approval.decided':
    case 'approval.expired':
    case 'approval.used':
      return `${`${text('tool_name')} ${text('status')}`.trimEnd()}${because}`
    case 'artifact.stored':
      return `${text('name')}, ${size(Number(data['size_bytes'] ?? 0))}, sha256 ${text('sha256').slice(0, 12)}`
    default:
      return argsLine(data, 32)
  }
}

function problem(error: unknown, otherwise: string): string {
  if (typeof error !== 'object' || error === null) return otherwise
  const { code, kind, message } = error as { code?: string; kind?: string; message?: string }
  return `${code ?? kind ?? 'failed'}: ${cut(message ?? '', 80)}`
}

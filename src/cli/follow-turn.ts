import type { CloisterClient, Delta, Event } from '../client/cloister-client.ts'
import type { Approver } from './approver.ts'
import type { TurnView } from './turn-view.ts'

export interface TurnEnd {
  status: 'completed' | 'failed' | 'limited' | 'interrupted'
  /** What was wrong, where something was. */
  reason: string | null
  /** The last event that was seen: where to go on. */
  seq: number
}

export interface Watch {
  client: CloisterClient
  session_id: string
  turn_id: string
  /** Only what came after this event is of interest. */
  after: number
  view: TurnView
  approver: Approver
  signal?: AbortSignal
}

/** Shows a turn until it ends. Resolves with how it ended; rejects when the session is gone or the server stays away. */
export async function followTurn(watch: Watch): Promise<TurnEnd> {
  const { client, turn_id, view } = watch
  let seq = watch.after
  let ours = false
  for await (const entry of client.streamEvents(watch.session_id, {
    after: seq,
    ...(watch.signal ? { signal: watch.signal } : {}),
  })) {
    if (!('seq' in entry)) {
      if (entry.data['turn_id'] === turn_id) {
        view.entry(entry)
        if (entry.type === 'message.delta') showDelta(view, entry)
      }
      continue
    }
    seq = entry.seq
    const { data } = entry
    if (entry.type === 'session.state_changed' && (data['to'] === 'closed' || data['to'] === 'deleted'))
      return { status: 'interrupted', reason: `the session was ${data['to']}`, seq }
    if (entry.type === 'turn.started') ours = data['turn_id'] === turn_id
    // Events of invocations made beside the turn, by somebody else, are not the agent's.
    if (data['turn_id'] !== undefined && data['turn_id'] !== null && data['turn_id'] !== turn_id) continue
    if (!ours && data['turn_id'] !== turn_id) continue
    view.entry(entry)
    const end = await showEvent(watch, entry)
    if (end) return { ...end, seq }
  }
  throw new Error('the stream of events ended before the turn did')
}

function showDelta(view: TurnView, { data }: Delta): void {
  const step = Number(data['step'] ?? 0)
  if (data['reset'] === true) view.reset(step)
  else view.delta(step, String(data['text'] ?? ''))
}

async function showEvent(watch: Watch, { type, data, actor }: Event): Promise<Omit<TurnEnd, 'seq'> | null> {
  const { client, view } = watch
  switch (type) {
    case 'invocation.completed':
    case 'invocation.denied':
      if (actor.kind === 'user' && data['turn_id'] !== watch.turn_id) return null
      view.call(await client.getInvocation(String(data['invocation_id'])))
      return null
    case 'approval.requested': {
      const approval = await client.getApproval(String(data['approval_id']))
      // It may be long decided: the stream also brings what happened before it was opened.
      if (approval.status === 'pending') await watch.approver(approval)
      return null
    }
    case 'message.created':
      if (data['role'] === 'agent' && typeof data['content'] === 'string') view.answer(data['content'])
      else if (data['role'] === 'system' && typeof data['content'] === 'string') view.note(data['content'])
      return null
    case 'turn.completed': {
      const status = data['status']
      const reason = typeof data['reason'] === 'string' ? data['reason'] : null
      return { status: status === 'failed' || status === 'limited' ? status : 'completed', reason }
    }
    case 'turn.interrupted':
      return { status: 'interrupted', reason: typeof data['reason'] === 'string' ? data['reason'] : null }
    default:
      return null
  }
}

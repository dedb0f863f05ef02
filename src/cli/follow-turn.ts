import type { CloisterClient, Delta, Event } from '../client/cloister-client.ts'
import type { Approver } from './approver.ts'
import { lastSeq } from './last-seq.ts'
import type { TurnView } from './turn-view.ts'

export interface TurnEnd {
  turn_id: string
  status: 'completed' | 'failed' | 'limited' | 'interrupted'
  /** What the server said about the end, where there was something to say. */
  note: string | null
}

export interface Watch {
  client: CloisterClient
  session_id: string
  content: string
  view: TurnView
  approver: Approver
}

/**
 * Sends a message and shows the turn that answers it until it ends. Rejects when the session is gone or the server stays away.
 */
export async function followTurn({ client, session_id, content, view, approver }: Watch): Promise<TurnEnd> {
  // A session has at least the event of its creation. Asking for the last one again tells when the stream is open: what is sent
  // before that would be answered by deltas that nobody hears.
  const last = await lastSeq(client, session_id)
  let turnId: string | undefined
  let note: string | null = null
  for await (const entry of client.streamEvents(session_id, { after: last - 1 })) {
    turnId ??= (await client.postMessage(session_id, content)).turn_id
    const { type, data } = entry
    if ('seq' in entry && entry.seq <= last) continue
    if (type === 'session.deleted' || (type === 'session.state_changed' && data['to'] === 'closed'))
      return {
        turn_id: turnId,
        status: 'interrupted',
        note: `the session was ${type === 'session.deleted' ? 'deleted' : 'closed'}`,
      }
    if (data['turn_id'] !== turnId) continue
    view.entry(entry)
    switch (type) {
      case 'message.delta':
        showDelta(view, entry)
        break
      case 'message.created':
        if (data['role'] === 'agent') view.answer(String(data['content']))
        if (data['role'] === 'system') note = String(data['content'])
        break
      case 'invocation.completed':
      case 'invocation.denied':
        view.call(await client.getInvocation(String(data['invocation_id'])))
        break
      case 'approval.requested': {
        const approval = await client.getApproval(String(data['approval_id']))
        // After a broken connection it may come late.
        if (approval.status === 'pending') await approver(approval)
        break
      }
      case 'turn.completed':
        return {
          turn_id: turnId,
          status: statusOf(data['status']),
          note: note ?? (typeof data['reason'] === 'string' ? data['reason'] : null),
        }
      case 'turn.interrupted':
        return { turn_id: turnId, status: 'interrupted', note }
    }
  }
  throw new Error('the stream of events ended before the turn did')
}

function showDelta(view: TurnView, { data }: Event | Delta): void {
  const step = Number(data['step'] ?? 0)
  if (data['reset'] === true) view.reset(step)
  else view.delta(step, String(data['text'] ?? ''))
}

function statusOf(status: unknown): TurnEnd['status'] {
  return status === 'failed' || status === 'limited' ? status : 'completed'
}

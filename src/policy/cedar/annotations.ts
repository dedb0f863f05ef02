import { type ApprovalDemand, durationSeconds, parseApprovers } from '../approval-demand.ts'

/** What a policy says of itself beside its condition. */
export interface PolicyNotes {
  id: string | null
  /** Shown to whoever is refused (forbid), or asked to approve. */
  reason: string | null
  /** Null: no approval needed. */
  demand: ApprovalDemand | null
}

const KNOWN = ['id', 'reason', 'description', 'approval', 'approvers', 'approval_ttl']

/**
 * Pure. An annotation that is not known is refused: a misspelt `@approval` would let through what was meant to be asked about.
 * @throws Error that says what is wrong
 */
export function readAnnotations(annotations: Record<string, string | null>, effect: 'permit' | 'forbid'): PolicyNotes {
  for (const name of Object.keys(annotations))
    if (!KNOWN.includes(name))
      throw new Error(`there is no annotation @${name}: known are ${KNOWN.map((known) => `@${known}`).join(', ')}`)
  const { id, reason, approval, approvers, approval_ttl: ttl } = annotations
  if (id !== undefined && (id === null || !/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$/.test(id)))
    throw new Error('@id must be of letters, digits and _ . : -, at most 100')
  return { id: id ?? null, reason: reason ?? null, demand: readDemand({ approval, approvers, ttl }, effect) }
}

function readDemand(
  { approval, approvers, ttl }: Record<'approval' | 'approvers' | 'ttl', string | null | undefined>,
  effect: 'permit' | 'forbid',
): ApprovalDemand | null {
  if (approval === undefined) {
    if (approvers !== undefined || ttl !== undefined)
      throw new Error('@approvers and @approval_ttl mean nothing without @approval("required")')
    return null
  }
  if (effect === 'forbid') throw new Error('@approval stands on a permit: what is forbidden, nobody can approve')
  if (approval !== 'required') throw new Error('@approval must be "required"')
  const seconds = typeof ttl === 'string' ? durationSeconds(ttl) : null
  if (ttl !== undefined && seconds === null)
    throw new Error('@approval_ttl must be a time such as "15m", "1h" or "2d", at most a year')
  return { approvers: approvers === undefined ? null : parseApprovers(approvers ?? ''), ttl_seconds: seconds }
}

import { type Approvers, allOf, approverEntryProblem, DEFAULT_APPROVERS } from '../domain/approvers.ts'

/** One policy's demand that a person approves. */
export interface ApprovalDemand {
  /** Null: it does not say who. */
  approvers: string[] | null
  /** How long it waits, in seconds; null: it does not say. */
  ttl_seconds: number | null
}

/** All demands together: everybody's people, and the shortest time. Pure. */
export function strictest(demands: readonly ApprovalDemand[]): { approvers: Approvers; ttl_seconds: number | null } {
  const named = demands.flatMap(({ approvers }) => (approvers === null ? [] : [approvers]))
  const times = demands.flatMap(({ ttl_seconds }) => ttl_seconds ?? [])
  return {
    approvers: named.length > 0 ? allOf(named) : DEFAULT_APPROVERS,
    ttl_seconds: times.length > 0 ? Math.min(...times) : null,
  }
}

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const
const LONGEST = 365 * SECONDS.d

/** `90s`, `15m`, `1h`, `2d` in seconds; null: not a time, or none that makes sense (0, over a year). */
export function durationSeconds(text: string): number | null {
  const parsed = /^([1-9]\d{0,8})([smhd])$/.exec(text)
  if (!parsed) return null
  const seconds = Number(parsed[1]) * SECONDS[parsed[2] as keyof typeof SECONDS]
  return seconds <= LONGEST ? seconds : null
}

/** `owner, role:devops` as a list. @throws Error that says what is wrong with it */
export function parseApprovers(text: string): string[] {
  const entries = [...new Set(text.split(',').map((entry) => entry.trim()))].filter((entry) => entry !== '')
  if (entries.length === 0) throw new Error('approvers names nobody')
  for (const entry of entries) {
    const problem = approverEntryProblem(entry)
    if (problem !== null) throw new Error(problem)
  }
  return entries
}

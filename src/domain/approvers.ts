import { TOOL_ROLES } from './principal.ts'

/**
 * Who may approve a call. Every inner list must be satisfied, by one of its entries: `owner` (of the session), `admin`,
 * `role:<tool role>` (of the session's tenant), `principal:<tenant>/<actor>`. An empty list is satisfied by nobody.
 */
export type Approvers = string[][]

/** Where nothing else is said. */
export const DEFAULT_APPROVERS: Approvers = [['owner', 'admin']]

/** A person, never an agent: who approves is not who asks. */
export interface Approver {
  tenant_id: string
  actor_id: string
  admin: boolean
  /** Empty where they are not known: then no role counts. */
  tool_roles: string[]
}

interface Owner {
  tenant_id: string
  actor_id: string
}

/** Pure. No list at all is nobody's permission. */
export function mayApprove(approvers: Approvers, person: Approver, owner: Owner): boolean {
  return approvers.length > 0 && approvers.every((entries) => entries.some((entry) => matches(entry, person, owner)))
}

/** Is this person among those whom policy names beside owner and admins? They see such an approval though the session is not theirs. */
export function isNamed(approvers: Approvers, person: Approver, owner: Owner): boolean {
  return (
    mayApprove(approvers, person, owner) &&
    approvers.flat().some((entry) => !/^(owner|admin)$/.test(entry) && matches(entry, person, owner))
  )
}

/** The entries beside `owner` and `admin` that a person can match: what a store can look for. */
export function entriesOf(person: Approver): string[] {
  return [`principal:${person.tenant_id}/${person.actor_id}`, ...person.tool_roles.map((role) => `role:${role}`)]
}

/** All of them, without those that are said twice. */
export function allOf(demands: Approvers): Approvers {
  const seen = new Map<string, string[]>()
  for (const entries of demands) {
    const key = JSON.stringify([...entries].sort())
    if (!seen.has(key)) seen.set(key, entries)
  }
  return [...seen.values()]
}

export function describeApprovers(approvers: Approvers): string {
  return approvers.map((entries) => (entries.length > 0 ? entries.join(' or ') : 'nobody')).join(', who is also ')
}

/** What is wrong with an entry as an administrator wrote it; null: nothing. */
export function approverEntryProblem(entry: string): string | null {
  if (entry === 'owner' || entry === 'admin' || TOOL_ROLES.some((role) => entry === `role:${role}`)) return null
  if (/^principal:[^/\s,]+\/[^\s,]+$/.test(entry)) return null
  return `${JSON.stringify(entry)} is nobody: write owner, admin, principal:<tenant>/<actor>, or role:<tool role>, of ${TOOL_ROLES.join(', ')}`
}

function matches(entry: string, person: Approver, owner: Owner): boolean {
  if (entry === 'owner') return person.tenant_id === owner.tenant_id && person.actor_id === owner.actor_id
  if (entry === 'admin') return person.admin
  if (entry.startsWith('role:'))
    return person.tenant_id === owner.tenant_id && person.tool_roles.includes(entry.slice('role:'.length))
  return entry === `principal:${person.tenant_id}/${person.actor_id}`
}

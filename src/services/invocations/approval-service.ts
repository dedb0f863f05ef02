import type { Logger } from 'pino'
import type { Approval, ApprovalStatus } from '../../domain/approval.ts'
import { describeApprovers, entriesOf, isNamed, mayApprove } from '../../domain/approvers.ts'
import { errors } from '../../domain/errors.ts'
import { approvalDue } from '../../domain/lifecycle.ts'
import { actorOf, type Caller, owns, type Permission, principalKey, SYSTEM } from '../../domain/principal.ts'
import type { Session } from '../../domain/session.ts'
import type { Page, PageRequest, Store } from '../../store/store.ts'
import { requirePermission } from '../access.ts'
import type { Approvals, Invocations, Sandboxes } from '../contracts.ts'
import type { EventLog } from '../event-log.ts'

export interface ApprovalServiceDependencies {
  store: Store
  eventLog: EventLog
  invocations: Pick<Invocations, 'approvalDecided' | 'approvalExpired'>
  sandboxes: Pick<Sandboxes, 'redactor'>
  logger: Pick<Logger, 'error'>
  clock: () => Date
}

/**
 * A person's yes or no. Who may say yes is policy, and stands in the approval's `approvers`: the session's owner or an admin where
 * nothing else is said. Whom it names beside these sees that approval, and nothing else of the session. The owner, an admin and
 * those who may say yes can say no. Never an agent credential, whose own calls these are. The decision is on record before
 * anything follows from it: what follows is taken up again after a crash.
 */
export class ApprovalService implements Approvals {
  readonly #deps: ApprovalServiceDependencies

  constructor(deps: ApprovalServiceDependencies) {
    this.#deps = deps
  }

  async list(
    caller: Caller,
    filter: { status?: ApprovalStatus; session_id?: string },
    page: PageRequest,
  ): Promise<Page<Approval>> {
    requirePermission(caller, 'session:get')
    const { store } = this.#deps
    const everything = caller.kind === 'system' || (caller.kind === 'user' && caller.admin)
    if (everything || caller.kind !== 'user') return store.approvals.list(filter, page)
    const owner = { tenant_id: caller.tenant_id, actor_id: caller.actor_id }
    const found = await store.approvals.list({ ...filter, owner, named: entriesOf(caller) }, page)
    const sessions = new Map<string, Session | null>()
    for (const { session_id } of found.items)
      if (!sessions.has(session_id)) sessions.set(session_id, await store.sessions.get(session_id))
    // What only looks as if it named the caller (a role of another tenant, one of two demands) is not theirs to see.
    return { ...found, items: found.items.filter((each) => sees(caller, each, sessions.get(each.session_id) ?? null)) }
  }

  get(caller: Caller, id: string): Promise<Approval> {
    return this.#seen(caller, id, 'session:get').then(({ approval }) => approval)
  }

  approve(caller: Caller, id: string, reason: string | null): Promise<Approval> {
    return this.#decide(caller, id, ['pending'], 'approved', reason)
  }

  deny(caller: Caller, id: string, reason: string | null): Promise<Approval> {
    return this.#decide(caller, id, ['pending'], 'denied', reason)
  }

  revoke(caller: Caller, id: string, reason: string | null): Promise<Approval> {
    return this.#decide(caller, id, ['pending', 'approved'], 'revoked', reason)
  }

  async expireDue(now: Date): Promise<void> {
    for (const approval of await this.#deps.store.approvals.pending()) {
      if (approvalDue(approval, now.getTime()).action === 'expire') await this.#expire(approval, now)
    }
  }

  async #decide(
    caller: Caller,
    id: string,
    from: ApprovalStatus[],
    status: 'approved' | 'denied' | 'revoked',
    reason: string | null,
  ): Promise<Approval> {
    const { eventLog, invocations, sandboxes, store, clock, logger } = this.#deps
    const { approval, session } = await this.#seen(caller, id, 'session:approve')
    if (caller.kind !== 'user') throw errors.permissionDenied('session:approve')
    if (status === 'approved' && !mayApprove(approval.approvers, caller, session.owner))
      throw errors.permissionDenied(
        'session:approve',
        `policy does not let you approve this: it has to be ${describeApprovers(approval.approvers)}`,
      )
    const now = clock()
    if (approvalDue(approval, now.getTime()).action === 'expire') await this.#expire(approval, now)
    const redactor = await sandboxes.redactor(approval.session_id)
    const decision = {
      status,
      decided_by: principalKey(caller),
      reason: reason === null ? null : redactor.text(reason),
      decided_at: now.toISOString(),
    }
    const decided = await eventLog.transaction(async (tx, emit) => {
      for (const before of from) {
        if (!(await tx.approvals.decide(id, before, decision))) continue
        await emit(approval.session_id, 'approval.decided', actorOf(caller), {
          approval_id: id,
          invocation_id: approval.invocation_id,
          tool_name: approval.tool_name,
          status,
          reason: decision.reason,
        })
        return true
      }
      return false
    })
    if (!decided) {
      const {
        approval: { status: now },
      } = await this.#seen(caller, id, 'session:approve')
      throw errors.conflict(`the approval is ${now} already`, { status: now })
    }
    try {
      await invocations.approvalDecided({ ...approval, ...decision })
    } catch (error) {
      // It is decided, and on record: what follows from it is taken up by Invocations.resume.
      logger.error({ err: error, approval_id: id }, 'what follows from a decided approval could not be done yet')
    }
    return (await store.approvals.get(id)) ?? { ...approval, ...decision }
  }

  async #expire(approval: Approval, now: Date): Promise<void> {
    const { eventLog, invocations } = this.#deps
    const expired = { status: 'expired', decided_at: now.toISOString() } as const
    const done = await eventLog.transaction(async (tx, emit) => {
      if (!(await tx.approvals.decide(approval.id, 'pending', expired))) return false
      await emit(approval.session_id, 'approval.expired', SYSTEM, {
        approval_id: approval.id,
        invocation_id: approval.invocation_id,
        tool_name: approval.tool_name,
        reason: 'nobody decided in time',
      })
      return true
    })
    if (done) await invocations.approvalExpired({ ...approval, ...expired })
  }

  async #seen(caller: Caller, id: string, permission: Permission): Promise<{ approval: Approval; session: Session }> {
    const approval = await this.#deps.store.approvals.get(id)
    const session = approval && (await this.#deps.store.sessions.get(approval.session_id))
    if (!session || !sees(caller, approval, session)) throw errors.notFound('approval')
    requirePermission(caller, permission)
    return { approval, session }
  }
}

/** Of a session of theirs, or named by policy as somebody who may approve. */
function sees(caller: Caller, approval: Approval, session: Session | null): boolean {
  if (!session || session.state === 'deleted') return false
  return owns(caller, session) || (caller.kind === 'user' && isNamed(approval.approvers, caller, session.owner))
}

import type { Logger } from 'pino'
import type { Approval, ApprovalStatus } from '../../domain/approval.ts'
import { errors } from '../../domain/errors.ts'
import { approvalDue } from '../../domain/lifecycle.ts'
import { actorOf, type Caller, owns, type Permission, permissionsOf, principalKey, SYSTEM } from '../../domain/principal.ts'
import type { Page, PageRequest, Store } from '../../store/store.ts'
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
 * A person's yes or no. Decided by the session's owner or an admin; never by an agent credential, whose own calls these are. The
 * decision is on record before anything follows from it: what follows is taken up again after a crash.
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
    if (!permissionsOf(caller).includes('session:get')) throw errors.permissionDenied('session:get')
    const everything = caller.kind === 'system' || (caller.kind === 'user' && caller.admin)
    const owner =
      everything || caller.kind !== 'user' ? {} : { owner: { tenant_id: caller.tenant_id, actor_id: caller.actor_id } }
    return this.#deps.store.approvals.list({ ...filter, ...owner }, page)
  }

  get(caller: Caller, id: string): Promise<Approval> {
    return this.#own(caller, id, 'session:get')
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
    const approval = await this.#own(caller, id, 'session:approve')
    if (caller.kind !== 'user') throw errors.permissionDenied('session:approve')
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
      const { status: now } = await this.#own(caller, id, 'session:approve')
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

  async #own(caller: Caller, id: string, permission: Permission): Promise<Approval> {
    const approval = await this.#deps.store.approvals.get(id)
    const session = approval && (await this.#deps.store.sessions.get(approval.session_id))
    if (!session || session.state === 'deleted' || !owns(caller, session)) throw errors.notFound('approval')
    if (!permissionsOf(caller).includes(permission)) throw errors.permissionDenied(permission)
    return approval
  }
}

import type { Approval } from '../client/cloister-client.ts'
import type { Approver } from './approver.ts'

/** The approvals that a turn waits for, asked one after the other while the turn goes on. */
export class OpenQuestions {
  readonly #approver: Approver
  readonly #onError: (error: unknown) => void
  readonly #open = new Map<string, AbortController>()
  #asking: Promise<void> = Promise.resolve()

  /** @param onError the approver threw */
  constructor(approver: Approver, onError: (error: unknown) => void) {
    this.#approver = approver
    this.#onError = onError
  }

  ask(approval: Approval): void {
    if (this.#open.has(approval.id)) return
    const controller = new AbortController()
    this.#open.set(approval.id, controller)
    this.#asking = this.#asking
      .then(async () => {
        if (!controller.signal.aborted) await this.#approver(approval, controller.signal)
      })
      .catch(this.#onError)
      .finally(() => this.#open.delete(approval.id))
  }

  /** There is nothing to decide any more. @param why to be shown where it is still asked; null: it is of no interest */
  withdraw(approvalId: string, why: string | null): void {
    this.#open.get(approvalId)?.abort(why)
  }

  async withdrawAll(): Promise<void> {
    for (const id of this.#open.keys()) this.withdraw(id, null)
    await this.#asking
  }
}

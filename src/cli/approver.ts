import { ApiError, type Approval, type CloisterClient } from '../client/cloister-client.ts'
import { CliError } from './cli-error.ts'
import type { Context } from './context.ts'
import { type Decision, decideApproval } from './decide-approval.ts'
import { proposedChange } from './diff/proposed-change.ts'
import { EXIT } from './exit-codes.ts'
import type { TurnView } from './turn-view.ts'

/**
 * Deals with an approval that an agent's turn waits for. Resolves when it is decided, or left to somebody else; also when `signal`
 * says that there is nothing to decide any more: its reason is the news of it, null for none.
 */
export type Approver = (approval: Approval, signal: AbortSignal) => Promise<void>

/** Shows the prompt and resolves with what was typed; with null when the signal took the question back. */
export type Question = (prompt: string, signal: AbortSignal) => Promise<string | null>

/** Says yes to everything, visibly (`--yes`). */
export function approveAll({ client }: Pick<Context, 'client'>, view: TurnView): Approver {
  return async (approval) => {
    view.approvalAsked(approval, await proposedChange(client, approval))
    try {
      await decide(client, view, approval, 'approve', 'approved by --yes', `approved ${approval.id} (--yes)`)
    } catch (error) {
      // Decided elsewhere in this very moment: that is good too.
      if (!(error instanceof ApiError) || error.code !== 'conflict') throw error
      view.note(`not decided here: ${error.message}`)
    }
  }
}

/** Asks the person at the terminal. */
export function askPerson({ client }: Pick<Context, 'client'>, view: TurnView, question: Question): Approver {
  return async (approval, signal) => {
    const change = await proposedChange(client, approval)
    if (signal.aborted) return
    view.approvalAsked(approval, change)
    for (;;) {
      const answer = await question('      approve? y, n, or n and why: ', signal)
      if (answer === null) {
        if (typeof signal.reason === 'string') view.note(signal.reason)
        return
      }
      const [, verdict = '', reason = ''] = /^(y|yes|n|no)\b[\s,:]*(.*)$/is.exec(answer.trim()) ?? []
      // Nothing but a clear answer counts: enter alone asks again.
      if (verdict === '') {
        if (answer.trim() !== '') view.note('y approves it, n denies it')
        continue
      }
      const decision = verdict.toLowerCase().startsWith('y') ? 'approve' : 'deny'
      try {
        const done = decision === 'approve' ? 'approved' : 'denied'
        await decide(client, view, approval, decision, reason === '' ? undefined : reason, done)
      } catch (error) {
        // Decided elsewhere in this very moment, or not theirs to decide: somebody else will.
        if (!(error instanceof ApiError)) throw error
        view.problem(`not decided: ${error.message}`)
      }
      return
    }
  }
}

/** @param done what is shown when it came so */
async function decide(
  client: CloisterClient,
  view: TurnView,
  approval: Approval,
  decision: Decision,
  reason: string | undefined,
  done: string,
): Promise<void> {
  const { refusal } = await decideApproval(client, approval.id, decision, reason)
  if (refusal === null) view.note(done)
  else view.problem(`not run: ${refusal}`)
}

/** Nobody is here to ask: says how to decide, and waits; with `wait` false ends the command. */
export function tellHow(view: TurnView, wait: boolean): Approver {
  return async (approval) => {
    view.approvalAsked(approval, null)
    const how = `cloister approval approve ${approval.id}`
    if (!wait) throw new CliError('approval_required', EXIT.denied, `the agent waits for the approval ${approval.id}`, how)
    view.note(`waiting for: ${how}   (or: cloister approval deny ${approval.id})`)
  }
}

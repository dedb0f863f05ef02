import type { Approval } from '../client/cloister-client.ts'
import { CliError } from './cli-error.ts'
import type { Context } from './context.ts'
import { EXIT } from './exit-codes.ts'
import type { TurnView } from './turn-view.ts'

/** Deals with an approval that an agent's turn waits for. Resolves when it is decided, or left to somebody else. */
export type Approver = (approval: Approval) => Promise<void>

/** Says yes to everything, visibly (`--yes`). */
export function approveAll({ client }: Pick<Context, 'client'>, view: TurnView): Approver {
  return async (approval) => {
    view.approvalAsked(approval)
    await client.decideApproval(approval.id, 'approve', 'approved by --yes')
    view.note(`approved ${approval.id} (--yes)`)
  }
}

/** Asks the person at the terminal. @param question shows the prompt and resolves with what was typed */
export function askPerson(
  { client }: Pick<Context, 'client'>,
  view: TurnView,
  question: (prompt: string) => Promise<string>,
): Approver {
  return async (approval) => {
    view.approvalAsked(approval)
    for (;;) {
      const answer = (await question('      approve? y, n, or n and why: ')).trim()
      const [, verdict = '', reason = ''] = /^(y|yes|n|no)\b[\s,:]*(.*)$/is.exec(answer) ?? []
      // Nothing but a clear answer counts: enter alone asks again.
      if (verdict === '') continue
      const why = reason === '' ? undefined : reason
      if (verdict.toLowerCase().startsWith('y')) {
        await client.decideApproval(approval.id, 'approve', why)
        view.note('approved')
      } else {
        await client.decideApproval(approval.id, 'deny', why)
        view.note('denied')
      }
      return
    }
  }
}

/** Nobody is here to ask: says how to decide, and waits; with `wait` false ends the command. */
export function tellHow(view: TurnView, wait: boolean): Approver {
  return async (approval) => {
    view.approvalAsked(approval)
    const how = `cloister approval approve ${approval.id}`
    if (!wait) throw new CliError('approval_required', EXIT.denied, `the agent waits for the approval ${approval.id}`, how)
    view.note(`waiting for: ${how}   (or: cloister approval deny ${approval.id})`)
  }
}

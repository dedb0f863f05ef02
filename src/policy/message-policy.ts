import type { Caller } from '../domain/principal.ts'
import type { Session } from '../domain/session.ts'

/** Something that is about to be said in a session. Secrets were taken out of it. */
export interface SaidText {
  /** `message`: by a user. `answer`: by the model, also beside calls of tools. */
  kind: 'message' | 'answer'
  caller: Caller
  session: Session
  /** Label of the model that answers. */
  model: string
  text: string
}

/** Why something must not be said. */
export interface MessageRefusal {
  reason: string
  /** Ids of the policies that determined it. */
  policies: string[]
  policy_version: string
}

/** Decides what may be said. */
export interface MessagePolicy {
  /** Is there any policy? Then no answer is shown before it was looked at. */
  readonly inForce: boolean
  /** Null: it may be said. Never throws: what cannot be judged is refused. */
  refuse(said: SaidText): MessageRefusal | null
}

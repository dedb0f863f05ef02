import type { CedarMessageSet } from './cedar/cedar-message-set.ts'
import type { MessagePolicy, MessageRefusal, SaidText } from './message-policy.ts'

/** The policies about what is said that are in force now. They can be replaced while they are asked. */
export class MessagePolicies implements MessagePolicy {
  #set: CedarMessageSet | null

  /** @param set null: there are none, and everything may be said */
  constructor(set: CedarMessageSet | null) {
    this.#set = set
  }

  get inForce(): boolean {
    return this.#set !== null
  }

  /** From now on these hold; the old ones are released. */
  replace(set: CedarMessageSet | null): void {
    this.#set?.release()
    this.#set = set
  }

  refuse(said: SaidText): MessageRefusal | null {
    return this.#set?.refuse(said) ?? null
  }
}

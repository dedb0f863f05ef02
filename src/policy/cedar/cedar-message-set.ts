import { actorOf, principalKey } from '../../domain/principal.ts'
import type { MessageRefusal, SaidText } from '../message-policy.ts'
import { sessionEntities } from './cedar-request.ts'
import { MESSAGE_SCHEMA } from './cedar-schema.ts'
import { CedarSet } from './cedar-set.ts'
import type { PolicyFile } from './policy-files.ts'

/** An administrator's policies about what is said. What none permits is refused, as everywhere. */
export class CedarMessageSet {
  readonly #set: CedarSet

  /** @throws PolicySetError that names file, line and reason of everything that is wrong */
  constructor(files: readonly PolicyFile[]) {
    this.#set = new CedarSet(files, MESSAGE_SCHEMA)
  }

  get digest(): string {
    return this.#set.digest
  }

  get ids(): readonly string[] {
    return this.#set.ids
  }

  /** Its memory is free again. It must not be asked any more. */
  release(): void {
    this.#set.release()
  }

  /** Null: it may be said. */
  refuse({ kind, caller, session, model, text }: SaidText): MessageRefusal | null {
    const actor = actorOf(caller)
    const verdict = this.#set.judge({
      principal: { type: 'Principal', id: principalKey(session.principal) },
      action: { type: 'Action', id: kind },
      resource: { type: 'Session', id: session.id },
      context: { text, characters: text.length, model, caller: { kind: actor.kind, id: actor.id } },
      entities: sessionEntities(session),
    })
    const { policies } = verdict
    const policy_version = this.digest.slice(0, 16)
    if (verdict.effect === 'deny') return { reason: verdict.reason, policies, policy_version }
    if (verdict.demands.length === 0) return null
    return { reason: 'its policy asks for an approval, which nothing that is said can wait for', policies, policy_version }
  }
}

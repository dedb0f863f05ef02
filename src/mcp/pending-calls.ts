import { randomUUID } from 'node:crypto'
import { canonicalJson, sha256 } from '../domain/canonical-json.ts'

/** Calls that wait for a person, of one caller and over all: beyond that the oldest is forgotten, of this caller or of whoever has most. */
const MOST_OF_ONE = 256
const MOST = 10_000

/** A call as it is known by. */
export interface PendingCall {
  caller: string
  key: string
  id: string
}

/**
 * Ties a call to the same one, made again after somebody decided. Held in memory: after a restart, or once it is forgotten, a client that
 * kept the id sends it, any other asks for a new approval.
 */
export class PendingCalls {
  /** Ids by key, by caller; the oldest first. */
  readonly #callers = new Map<string, Map<string, string>>()
  #size = 0

  /** With the id that this call has when it waits already, else a new one. */
  find(call: { caller: string; session_id: string; tool_name: string; args: unknown }): PendingCall {
    const key = sha256(canonicalJson([call.session_id, call.tool_name, call.args ?? null]))
    return { caller: call.caller, key, id: this.#callers.get(call.caller)?.get(key) ?? `mcp:${randomUUID()}` }
  }

  /** @param id under which it waits: the client may have named its own */
  waits(call: PendingCall, id: string): void {
    this.isOver(call)
    const mine = this.#callers.get(call.caller) ?? new Map<string, string>()
    this.#callers.set(call.caller, mine)
    mine.set(call.key, id)
    this.#size++
    if (mine.size > MOST_OF_ONE) this.#forgetOldest(call.caller, mine)
    if (this.#size > MOST) {
      const [[caller, most]] = [...this.#callers].sort(([, a], [, b]) => b.size - a.size) as [[string, Map<string, string>]]
      this.#forgetOldest(caller, most)
    }
  }

  isOver({ caller, key }: Pick<PendingCall, 'caller' | 'key'>): void {
    const mine = this.#callers.get(caller)
    if (!mine?.delete(key)) return
    this.#size--
    if (mine.size === 0) this.#callers.delete(caller)
  }

  #forgetOldest(caller: string, theirs: Map<string, string>): void {
    const [oldest] = theirs.keys()
    if (oldest !== undefined) this.isOver({ caller, key: oldest })
  }
}

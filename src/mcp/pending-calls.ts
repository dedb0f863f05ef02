import { randomUUID } from 'node:crypto'
import { canonicalJson, sha256 } from '../domain/canonical-json.ts'

/** Calls that wait for a person, over all sessions; the oldest is forgotten first, and then only its client's own copy of the id finds it. */
const MOST = 10_000

interface Waiting {
  id: string
  /** Null: not known. */
  approval_id: string | null
}

/**
 * Ties a call to the same one, made again after somebody decided. Held in memory: after a restart a client that kept the id sends it,
 * any other asks for a new approval.
 */
export class PendingCalls {
  readonly #waiting = new Map<string, Waiting>()

  /** The id of this call when it waits already, else a new one. */
  find(call: { caller: string; session_id: string; tool_name: string; args: unknown }): Waiting & { key: string } {
    const key = sha256(canonicalJson([call.caller, call.session_id, call.tool_name, call.args ?? null]))
    return { key, ...(this.#waiting.get(key) ?? { id: `mcp:${randomUUID()}`, approval_id: null }) }
  }

  waits(key: string, waiting: Waiting): void {
    this.#waiting.delete(key)
    this.#waiting.set(key, waiting)
    const [oldest] = this.#waiting.keys()
    if (this.#waiting.size > MOST && oldest !== undefined) this.#waiting.delete(oldest)
  }

  isOver(key: string): void {
    this.#waiting.delete(key)
  }
}

import { randomUUID } from 'node:crypto'
import { canonicalJson, sha256 } from '../domain/canonical-json.ts'

/** Calls that wait for a person, over all sessions; the oldest is forgotten first, and then only its client's own copy of the id finds it. */
const MOST = 10_000

/**
 * Ties a call to the same one, made again after somebody decided. Held in memory: after a restart a client that kept the id sends it,
 * any other asks for a new approval.
 */
export class PendingCalls {
  readonly #ids = new Map<string, string>()

  /** The id of this call when it waits already, else a new one. */
  find(call: { caller: string; session_id: string; tool_name: string; args: unknown }): { key: string; id: string } {
    const key = sha256(canonicalJson([call.caller, call.session_id, call.tool_name, call.args ?? null]))
    return { key, id: this.#ids.get(key) ?? `mcp:${randomUUID()}` }
  }

  waits(key: string, id: string): void {
    this.#ids.delete(key)
    this.#ids.set(key, id)
    const [oldest] = this.#ids.keys()
    if (this.#ids.size > MOST && oldest !== undefined) this.#ids.delete(oldest)
  }

  isOver(key: string): void {
    this.#ids.delete(key)
  }
}

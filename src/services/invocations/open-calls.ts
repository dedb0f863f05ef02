import { errors, ToolError } from '../../domain/errors.ts'
import type { Invocation } from '../../domain/invocation.ts'

/** A call that this server is working on. */
export interface LiveCall {
  id: string
  signal: AbortSignal
  cancel(reason: ToolError): void
  /** Resolves when this server has let go of it: finished, waiting for approval, or left to the next server. */
  done: Promise<void>
}

/** What this process works on, and who waits for it. Nothing in here survives a restart, nothing has to. */
export class OpenCalls {
  readonly #live = new Map<string, LiveCall & { letGo: () => void }>()
  readonly #waiting = new Map<string, Set<{ resolve: (record: Invocation) => void; reject: (error: unknown) => void }>>()
  readonly #stop = new AbortController()

  /** Aborted when the server stops. */
  get stopped(): AbortSignal {
    return this.#stop.signal
  }

  get(id: string): LiveCall | null {
    return this.#live.get(id) ?? null
  }

  /** Null: somebody works on it already. */
  enlist(id: string): LiveCall | null {
    if (this.#live.has(id)) return null
    const controller = new AbortController()
    let letGo = () => {}
    const done = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const call = { id, signal: controller.signal, cancel: (reason: ToolError) => controller.abort(reason), done, letGo }
    this.#live.set(id, call)
    return call
  }

  letGo(call: LiveCall): void {
    const live = this.#live.get(call.id)
    if (!live) return
    this.#live.delete(call.id)
    live.letGo()
  }

  /** Rejects when the server stops, or with the signal's reason. */
  wait(id: string, signal?: AbortSignal): Promise<Invocation> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiting.get(id) ?? new Set()
      this.#waiting.set(id, waiters)
      const onAbort = () => waiter.reject(signal?.reason)
      const leave = () => {
        waiters.delete(waiter)
        if (waiters.size === 0 && this.#waiting.get(id) === waiters) this.#waiting.delete(id)
        signal?.removeEventListener('abort', onAbort)
      }
      const waiter = {
        resolve: (record: Invocation) => {
          leave()
          resolve(record)
        },
        reject: (error: unknown) => {
          leave()
          reject(error)
        },
      }
      waiters.add(waiter)
      if (this.#stop.signal.aborted) waiter.reject(stopping())
      else if (signal?.aborted) onAbort()
      else signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  finished(record: Invocation): void {
    for (const waiter of [...(this.#waiting.get(record.id) ?? [])]) waiter.resolve(record)
  }

  /** Resolves when every call is finished or left to the next server. */
  async stop(): Promise<void> {
    this.#stop.abort(stopping())
    for (const waiters of [...this.#waiting.values()]) for (const waiter of [...waiters]) waiter.reject(stopping())
    await Promise.all([...this.#live.values()].map((call) => call.done))
  }
}

export function stopping() {
  return errors.storeUnavailable('the server is stopping; what runs goes on, and the next server records how it ends')
}

export function cancelled(reason: string): ToolError {
  return new ToolError('cancelled', reason)
}

import { setTimeout as delay } from 'node:timers/promises'
import type { ToolSandbox } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import { newId } from '../../domain/ids.ts'
import { makeRedactor } from '../../domain/redaction.ts'
import type { Limits } from '../../domain/session.ts'
import type { SandboxDriver } from '../../sandbox/sandbox-driver.ts'
import { makeToolSandbox } from '../invocations/tool-sandbox.ts'

/** What one look writes. */
const OUTPUT_BYTES = 32 * 1024 * 1024

export interface ThrowawayOptions {
  driver: SandboxDriver
  /** A host uid that no session has; null: the server's own. */
  uid: number | null
  limits: Limits
  /** Of this server's lease. */
  epoch: number
}

export interface ThrowawayUse {
  network: 'none' | 'host'
  timeout_ms: number
  /** Goes before all that wait and are not. */
  urgent: boolean
}

/** Sandboxes with an empty volume and no secrets, for one look at what runs in them. One at a time: they share a uid. */
export class ThrowawaySandboxes {
  readonly #options: ThrowawayOptions
  readonly #urgent: (() => Promise<void>)[] = []
  readonly #waiting: (() => Promise<void>)[] = []
  #busy = false

  constructor(options: ThrowawayOptions) {
    this.#options = options
  }

  /** Nothing of it is left when this settles. @throws ToolError `timeout`, and what `work` and the driver throw */
  run<T>(use: ThrowawayUse, work: (sandbox: ToolSandbox, name: string) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const queue = use.urgent ? this.#urgent : this.#waiting
      queue.push(() => this.#run(use, work).then(resolve, reject))
      void this.#runAll()
    })
  }

  async #runAll(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    for (let next = this.#next(); next; next = this.#next()) await next()
    this.#busy = false
  }

  #next(): (() => Promise<void>) | undefined {
    return this.#urgent.shift() ?? this.#waiting.shift()
  }

  async #run<T>({ network, timeout_ms }: ThrowawayUse, work: (sandbox: ToolSandbox, name: string) => Promise<T>): Promise<T> {
    const { driver, uid, limits, epoch } = this.#options
    const name = newId('crv')
    const over = new AbortController()
    await driver.volumes.create(name, { uid, secrets: {}, staging: {} })
    try {
      const spec = { session_id: name, generation: 1, purpose: 'session', isolation_floor: 'none' } as const
      const { record, sandbox } = await driver.start({ ...spec, uid, limits, network, epoch }, async () => undefined)
      try {
        await sandbox.configure({})
        const toolSandbox = makeToolSandbox({
          sandbox,
          invocationId: name,
          roots: [],
          signal: over.signal,
          deadline: Date.now() + timeout_ms,
          maxOutputBytes: OUTPUT_BYTES,
          redactor: makeRedactor({}),
          onOutput: () => undefined,
          onOutputCut: () => undefined,
          remembersAnswers: false,
        })
        const late = delay(timeout_ms, null, { signal: over.signal }).then(() => {
          throw new ToolError('timeout', `nothing came within ${Math.round(timeout_ms / 1000)} s`)
        })
        late.catch(() => undefined)
        return await Promise.race([work(toolSandbox, name), late])
      } finally {
        over.abort()
        sandbox.disconnect()
        await driver.stop(record, name)
      }
    } finally {
      await driver.volumes.destroy(name)
    }
  }
}

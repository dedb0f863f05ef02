import type { Logger } from 'pino'
import { delayUntil, openCalls, sessionDue } from '../domain/lifecycle.ts'
import type { Caller } from '../domain/principal.ts'
import type { Session } from '../domain/session.ts'
import type { VolumeStore } from '../sandbox/sandbox-driver.ts'
import type { Approvals, Invocations, Sessions, Turns } from '../services/contracts.ts'
import type { RetentionService } from '../services/sessions/retention-service.ts'
import type { SandboxService } from '../services/sessions/sandbox-service.ts'
import type { Store } from '../store/store.ts'

export interface ReconcilerDependencies {
  store: Store
  sessions: Pick<Sessions, 'close'>
  sandboxes: Pick<SandboxService, 'initialize' | 'isInitializing' | 'stop'>
  approvals: Pick<Approvals, 'expireDue'>
  invocations: Pick<Invocations, 'resume'>
  turns: Pick<Turns, 'kick'>
  retention: Pick<RetentionService, 'sweep'>
  volumes: Pick<VolumeStore, 'list' | 'destroy'>
  clock: () => Date
  logger: Logger
  /** At least this often it looks at everything, in ms. */
  intervalMs: number
}

/** What ended sessions left is looked through as rarely as this, in ms: it is counted in days, and looking takes its time. */
const RETENTION_INTERVAL = 3_600_000

const SYSTEM_CALLER: Caller = { kind: 'system' }

/**
 * The operator: looks at what is, decides by pure functions of record and time, acts, and looks again. It keeps nothing between
 * two passes but when it looked for old remains, so a pass that is repeated, or cut off by a crash, does no harm.
 */
export class Reconciler {
  readonly #deps: ReconcilerDependencies
  #timer: NodeJS.Timeout | null = null
  #pass: Promise<number> | null = null
  #stopped = false
  #retentionAt = 0

  constructor(deps: ReconcilerDependencies) {
    this.#deps = deps
  }

  /** Once at start, before anybody is served: volumes of sessions that were never recorded, or that are deleted. */
  async sweepVolumes(): Promise<void> {
    const { store, volumes, logger } = this.#deps
    for (const id of await volumes.list()) {
      const session = await store.sessions.get(id)
      if (session && session.state !== 'deleted') continue
      logger.warn({ session_id: id }, 'destroying a volume that belongs to no session')
      await volumes.destroy(id)
    }
  }

  start(): void {
    const loop = async () => {
      const delay = await this.runOnce().catch((error: unknown) => {
        this.#deps.logger.error({ err: error }, 'a pass of the operator failed')
        return this.#deps.intervalMs
      })
      if (!this.#stopped) this.#timer = setTimeout(() => void loop(), delay)
    }
    void loop()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#pass?.catch(() => undefined)
  }

  /** One pass. @returns ms until the next one is due. Passes never overlap. */
  async runOnce(): Promise<number> {
    this.#pass ??= this.#runPass().finally(() => {
      this.#pass = null
    })
    return this.#pass
  }

  async #runPass(): Promise<number> {
    const { store, approvals, invocations, turns, retention, clock, intervalMs } = this.#deps
    const now = clock()
    const sessions = [...(await store.sessions.active()), ...(await store.sessions.withStaleSandbox())]
    const records = (await store.openInvocations.all()).map(({ record }) => record)
    const open = Map.groupBy(records, ({ session_id }) => session_id)
    const times: (number | null)[] = []
    for (const session of sessions) {
      const due = sessionDue(session, openCalls(session, open.get(session.id) ?? []), now.getTime())
      times.push(due.look_again_at)
      if (due.action !== 'wait') await this.#act(session, due.action, due.reason)
    }
    await approvals.expireDue(now)
    // Whatever is open and driven by nobody: calls whose record could not be finished when it was tried.
    await invocations.resume()
    for (const id of await store.messages.sessionsWithQueued()) turns.kick(id)
    if (now.getTime() >= this.#retentionAt)
      this.#retentionAt = (await retention.sweep(now)) ? 0 : now.getTime() + RETENTION_INTERVAL
    return delayUntil(times, now.getTime(), intervalMs)
  }

  /** One session's trouble is not the others'. */
  async #act(session: Session, action: 'close' | 'initialize' | 'discard_sandbox', reason: string): Promise<void> {
    const { sessions, sandboxes, logger } = this.#deps
    try {
      if (action === 'close') await sessions.close(SYSTEM_CALLER, session.id, reason)
      else if (action === 'discard_sandbox') await sandboxes.stop(session.id, reason)
      else if (!sandboxes.isInitializing(session.id))
        // Not awaited: a setup may take minutes. It reports its outcome in the session's state.
        sandboxes
          .initialize(session.id)
          .catch((error: unknown) => logger.info({ err: error, session_id: session.id }, 'initialization failed'))
    } catch (error) {
      logger.error({ err: error, session_id: session.id, action }, 'the operator could not act')
    }
  }
}

import type { Logger } from 'pino'
import { CloisterError, errors } from '../../domain/errors.ts'
import { SYSTEM } from '../../domain/principal.ts'
import { makeRedactor, type Redactor } from '../../domain/redaction.ts'
import { nextState, type SandboxRecord, type Session } from '../../domain/session.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import type { SandboxDriver, SandboxSpec } from '../../sandbox/sandbox-driver.ts'
import type { Store } from '../../store/store.ts'
import type { Sandboxes } from '../contracts.ts'
import type { EventLog } from '../event-log.ts'
import type { Provisioner } from './provisioner.ts'

interface Running {
  sandbox: Sandbox
  generation: number
}

export interface SandboxServiceDependencies {
  store: Store
  eventLog: EventLog
  driver: SandboxDriver
  provisioner: Provisioner
  /** Of this server's lease: host refuses servers with a lower one. */
  epoch: number
  logger: Logger
  /** A session became idle: messages may be waiting. */
  onIdle: (sessionId: string) => void
}

/**
 * Sandboxes of sessions: cattle. Started when first needed, found again after a restart, at most one for a session, and never
 * one that no record names: the intent is stored before the spawn.
 */
export class SandboxService implements Sandboxes {
  readonly #deps: SandboxServiceDependencies
  readonly #running = new Map<string, Running>()
  readonly #starting = new Map<string, Promise<Running>>()
  readonly #redactors = new Map<string, Promise<Redactor>>()

  constructor(deps: SandboxServiceDependencies) {
    this.#deps = deps
  }

  current(sessionId: string): Running | null {
    return this.#running.get(sessionId) ?? null
  }

  async acquire(sessionId: string): Promise<Running> {
    const running = this.#running.get(sessionId)
    if (running) return running
    return this.#once(sessionId, async () => {
      const session = await this.#session(sessionId)
      if (session.state === 'initializing') throw errors.conflict('the session is still initializing', { state: session.state })
      if (session.state !== 'idle' && session.state !== 'busy') throw errors.sessionClosed(session.state)
      // While a turn runs, the session stays busy: setup runs again beneath it.
      if (!session.has_setup || session.state === 'busy') return this.#bringUp(session)
      await this.#transition(session, 'reinitialize', 'the sandbox is started again')
      return this.#initialize(await this.#session(sessionId))
    })
  }

  /**
   * Brings a session that is `initializing` to `idle`, or to `error` with the reason. Idempotent: called again while it works,
   * it answers with the same work. Rejects when initialization failed.
   */
  async initialize(sessionId: string): Promise<void> {
    await this.#once(sessionId, async () => this.#initialize(await this.#session(sessionId)))
  }

  isInitializing(sessionId: string): boolean {
    return this.#starting.has(sessionId)
  }

  async lost(sessionId: string, generation: number, reason: string): Promise<void> {
    const running = this.#running.get(sessionId)
    if (running?.generation !== generation) return
    this.#running.delete(sessionId)
    running.sandbox.disconnect()
    await this.#discard(sessionId, 'sandbox.lost', reason)
  }

  /** Kills the session's sandbox, if it has one on record, and waits for a start that is under way to notice. Idempotent. */
  async stop(sessionId: string, reason: string): Promise<void> {
    this.#running.get(sessionId)?.sandbox.disconnect()
    this.#running.delete(sessionId)
    await this.#discard(sessionId, 'sandbox.stopped', reason)
    const starting = this.#starting.get(sessionId)
    if (!starting) return
    // The start fails by itself: its sandbox is gone, or its session is no longer in a state that may have one.
    await starting.then(
      () => undefined,
      () => undefined,
    )
    this.#running.get(sessionId)?.sandbox.disconnect()
    this.#running.delete(sessionId)
    await this.#discard(sessionId, 'sandbox.stopped', reason)
  }

  async redactor(sessionId: string): Promise<Redactor> {
    let redactor = this.#redactors.get(sessionId)
    if (!redactor) {
      redactor = this.#deps.driver.volumes.readSecrets(sessionId).then(makeRedactor)
      this.#redactors.set(sessionId, redactor)
      redactor.catch(() => this.#redactors.delete(sessionId))
    }
    return redactor
  }

  /** The volume is destroyed: nothing of the secrets stays in memory. */
  forget(sessionId: string): void {
    this.#redactors.delete(sessionId)
  }

  /** After a restart: takes over what still runs, records what does not, kills what no record names. */
  async adopt(): Promise<void> {
    for (const session of await this.#deps.store.sessions.active()) {
      if (!session.sandbox) continue
      try {
        await this.#adoptOne(session, session.sandbox)
      } catch (error) {
        this.#deps.logger.error({ err: error, session_id: session.id }, 'a sandbox could not be taken over')
      }
    }
    for (const leftover of await this.#deps.driver.leftovers()) {
      const session = await this.#deps.store.sessions.get(leftover.session_id)
      if (session?.sandbox?.generation === leftover.generation) continue
      this.#deps.logger.warn(leftover, 'killing a sandbox that no record names')
      await this.#deps.driver.stopLeftover(leftover)
    }
  }

  /** Graceful shutdown: lets go of the sandboxes without touching them. */
  async disconnect(): Promise<void> {
    await Promise.allSettled(this.#starting.values())
    for (const { sandbox } of this.#running.values()) sandbox.disconnect()
    this.#running.clear()
  }

  async #adoptOne(session: Session, record: SandboxRecord): Promise<void> {
    if (session.state === 'initializing') {
      // Half an initialization is worth nothing: setup begins anew in a fresh sandbox.
      await this.#discard(session.id, 'sandbox.stopped', 'the server was restarted during initialization')
      return
    }
    const sandbox = session.state === 'error' ? null : await this.#deps.driver.find(record, session.id, this.#deps.epoch)
    if (sandbox) this.#running.set(session.id, { sandbox, generation: record.generation })
    else await this.#discard(session.id, 'sandbox.lost', 'it was gone when the server came back')
  }

  /** One start at a time for a session; whoever comes meanwhile gets the same. */
  #once(sessionId: string, start: () => Promise<Running>): Promise<Running> {
    const inProgress = this.#starting.get(sessionId)
    if (inProgress) return inProgress
    const starting = start().finally(() => this.#starting.delete(sessionId))
    this.#starting.set(sessionId, starting)
    return starting
  }

  async #initialize(session: Session): Promise<Running> {
    try {
      const running = await this.#bringUp(session)
      await this.#transition(session, 'initialized', null)
      this.#deps.onIdle(session.id)
      return running
    } catch (error) {
      const now = await this.#session(session.id)
      // Closed or deleted meanwhile: that is why it failed, and it is not an error of the session.
      if (now.state === 'initializing') {
        await this.#discard(session.id, 'sandbox.stopped', 'initialization failed')
        this.#running.delete(session.id)
        await this.#transition(now, 'initialization_failed', await this.#describe(session.id, error))
      }
      throw error
    }
  }

  /** Clone, start, provision, setup: what must have happened before anything else may. */
  async #bringUp(session: Session): Promise<Running> {
    const { driver, provisioner } = this.#deps
    if (session.repo_url && !session.provisioned) {
      const secrets = await driver.volumes.readSecrets(session.id)
      const clone = await this.#start(session, 'clone')
      try {
        await provisioner.clone(session, clone.sandbox, secrets)
      } finally {
        clone.sandbox.disconnect()
        await this.#discard(session.id, 'sandbox.stopped', 'the clone is over')
      }
    }
    const running = await this.#start(await this.#session(session.id), 'session')
    try {
      await running.sandbox.configure(await driver.volumes.readSecrets(session.id))
      if (!session.provisioned) {
        await provisioner.provision(session, running.sandbox)
        await this.#deps.store.sessions.update(session.id, { provisioned: true })
        await driver.volumes.clearStaging(session.id)
      }
      if (session.has_setup) await provisioner.setup(session, running.sandbox)
      this.#running.set(session.id, running)
      return running
    } catch (error) {
      running.sandbox.disconnect()
      await this.#discard(session.id, 'sandbox.stopped', 'it could not be made ready')
      throw error
    }
  }

  async #start(session: Session, purpose: SandboxSpec['purpose']): Promise<Running> {
    const { driver, store, eventLog, epoch } = this.#deps
    const generation = session.last_generation + 1
    const spec: SandboxSpec = {
      session_id: session.id,
      generation,
      purpose,
      uid: session.sandbox_uid,
      limits: session.limits,
      network: purpose === 'clone' ? 'host' : session.network,
      isolation_floor: session.isolation_floor,
      epoch,
    }
    let recorded = false
    const begun = performance.now()
    try {
      const started = await driver.start(spec, async (record) => {
        await store.transaction(async (tx) => {
          const now = await tx.sessions.get(session.id)
          if (!now || !MAY_HAVE_SANDBOX.has(now.state)) throw errors.sessionClosed(now?.state ?? 'deleted')
          await tx.sessions.update(session.id, { sandbox: record, last_generation: generation })
        })
        recorded = true
      })
      try {
        await eventLog.transaction(async (tx, emit) => {
          const now = await tx.sessions.get(session.id)
          if (!now || !MAY_HAVE_SANDBOX.has(now.state)) throw errors.sessionClosed(now?.state ?? 'deleted')
          await tx.sessions.update(session.id, { sandbox: started.record })
          await emit(session.id, 'sandbox.started', SYSTEM, {
            kind: started.record.kind,
            generation,
            purpose,
            isolation: started.record.isolation,
            duration_ms: Math.round(performance.now() - begun),
          })
        })
      } catch (error) {
        started.sandbox.disconnect()
        await driver.stop(started.record, session.id)
        throw error
      }
      return { sandbox: started.sandbox, generation }
    } catch (error) {
      // The driver leaves nothing behind when it throws; only the record of the intent is ours to take back.
      if (recorded) await store.sessions.update(session.id, { sandbox: null })
      throw error
    }
  }

  async #discard(sessionId: string, type: 'sandbox.stopped' | 'sandbox.lost', reason: string): Promise<void> {
    const session = await this.#deps.store.sessions.get(sessionId)
    if (!session?.sandbox) return
    const record = session.sandbox
    await this.#deps.driver.stop(record, sessionId)
    await this.#deps.eventLog.transaction(async (tx, emit) => {
      const now = await tx.sessions.get(sessionId)
      if (now?.sandbox?.generation !== record.generation) return
      await tx.sessions.update(sessionId, { sandbox: null })
      await emit(sessionId, type, SYSTEM, { kind: record.kind, generation: record.generation, reason })
    })
  }

  async #transition(
    session: Session,
    action: 'initialized' | 'initialization_failed' | 'reinitialize',
    reason: string | null,
  ): Promise<void> {
    await this.#deps.eventLog.transaction(async (tx, emit) => {
      const now = await tx.sessions.get(session.id)
      const state = nextState(now?.state ?? 'deleted', action)
      if (state instanceof CloisterError) throw state
      await tx.sessions.update(session.id, { state, state_reason: reason })
      await emit(session.id, 'session.state_changed', SYSTEM, { from: now?.state, to: state, reason })
    })
  }

  /** What stands in `state_reason`: redacted, and of bounded length. */
  async #describe(sessionId: string, error: unknown): Promise<string> {
    if (!(error instanceof CloisterError)) {
      this.#deps.logger.error({ err: error, session_id: sessionId }, 'initialization failed')
      return 'initialization failed for a reason of ours: see the server log'
    }
    const redactor = await this.redactor(sessionId)
    return redactor.text(error.message).slice(-4000)
  }

  async #session(sessionId: string): Promise<Session> {
    const session = await this.#deps.store.sessions.get(sessionId)
    if (!session) throw errors.notFound('session')
    return session
  }
}

const MAY_HAVE_SANDBOX = new Set(['initializing', 'idle', 'busy'])

import type { Logger } from 'pino'
import type { ArtifactStore } from '../../artifacts/artifact-store.ts'
import { retentionDue } from '../../domain/lifecycle.ts'
import { SYSTEM } from '../../domain/principal.ts'
import { firstStatisticsDay } from '../../domain/tool-statistics.ts'
import type { Store } from '../../store/store.ts'
import type { EventLog } from '../event-log.ts'

/** Sessions of one sweep: a server that was told to forget for the first time does not stand still over it. */
const AT_ONCE = 50

export interface RetentionServiceDependencies {
  store: Store
  eventLog: EventLog
  artifacts: ArtifactStore
  /** How long artifacts and logs outlive their session, in days; null: for ever. */
  days: number | null
  logger: Pick<Logger, 'error'>
}

/** Forgets what ended sessions left behind: artifacts, and the lines of logs. Records and events stay. */
export class RetentionService {
  readonly #deps: RetentionServiceDependencies

  constructor(deps: RetentionServiceDependencies) {
    this.#deps = deps
  }

  /** Idempotent; what a crash cut off is done by the next sweep. @returns whether there may be more to do at once */
  async sweep(now: Date): Promise<boolean> {
    const { store, days, logger } = this.#deps
    // What tools are judged by is not the sessions' remains: it goes when nobody looks at it any more.
    await store.toolOutcomes.deleteBefore(firstStatisticsDay(now))
    if (days === null) return false
    const ended = new Date(now.getTime() - days * 86_400_000).toISOString()
    const candidates = await store.sessions.withRemains(ended, AT_ONCE)
    let failed = 0
    for (const { id } of candidates) {
      try {
        await this.#forget(id, now)
      } catch (error) {
        // One session's trouble is not the others'.
        failed++
        logger.error({ err: error, session_id: id }, 'what an ended session left behind could not be deleted')
      }
    }
    return candidates.length === AT_ONCE && failed === 0
  }

  /**
   * Bytes first: rows without bytes say what is still to be done, bytes without rows would be forgotten. In one transaction, so
   * that a session which is restored at this moment either is not touched or begins with nothing.
   */
  async #forget(id: string, now: Date): Promise<void> {
    const { eventLog, artifacts, days } = this.#deps
    await eventLog.transaction(async (tx, emit) => {
      const session = await tx.sessions.get(id)
      if (!session || retentionDue(session, days, now.getTime()).action !== 'forget') return
      await artifacts.deleteSession(id)
      const forgotten = { artifacts: await tx.artifacts.deleteSession(id), log_lines: await tx.logs.deleteSession(id) }
      await emit(id, 'session.purged', SYSTEM, { ...forgotten, retention_days: days })
    })
  }
}

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Held for as long as the server lives; the kernel lets go of it when the process dies. */
export interface ServerLock {
  /** Grows by one with every server that took this home: host refuses those that came before. */
  epoch: number
  release(): void
}

/**
 * One server per CLOISTER_HOME, by an exclusive SQLite lock on a file of its own.
 * @throws Error when another server holds it
 */
export function takeServerLock(home: string): ServerLock {
  const database = new DatabaseSync(join(home, 'server.lock'))
  try {
    // A lock taken under locking_mode EXCLUSIVE is kept after the commit, until the connection closes.
    database.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL')
    database.exec('BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS lease (epoch INTEGER NOT NULL)')
    const { epoch } = database.prepare('SELECT coalesce(max(epoch), 0) + 1 AS epoch FROM lease').get() as { epoch: number }
    database.exec('DELETE FROM lease')
    database.prepare('INSERT INTO lease (epoch) VALUES (?)').run(epoch)
    database.exec('COMMIT')
    return { epoch, release: () => database.close() }
  } catch (cause) {
    database.close()
    throw new Error(`another Cloister server uses ${home}: stop it, or set CLOISTER_HOME to another directory`, { cause })
  }
}

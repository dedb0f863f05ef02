import { CloisterError, errors } from '../../domain/errors.ts'
import { ConstraintError } from './database-error.ts'

/** Primary result codes that say: not this statement, the database is the trouble (https://sqlite.org/rescode.html). */
const UNAVAILABLE: Record<number, string> = {
  3: 'no permission on the database file',
  5: 'the database is locked by another process',
  6: 'the database is locked by another process',
  7: 'out of memory',
  8: 'the database file is read-only',
  9: 'interrupted',
  10: 'reading or writing the database file failed',
  11: 'the database file is damaged: restore it from a backup',
  13: 'the disk is full',
  14: 'the database file cannot be opened',
  15: 'the lock protocol failed',
  26: 'the file is not a database',
}

const CONSTRAINT = 19
const CONSTRAINT_FOREIGN_KEY = 787
const UNIQUE = new Set([1555, 2067, 2579]) // primary key, unique, rowid

/**
 * What an error of node:sqlite means: a ConstraintError, a CloisterError `store_unavailable`, or itself (a defect of ours, such as
 * bad SQL). Messages name neither paths nor values.
 */
export function translateSqliteError(error: unknown): unknown {
  if (error instanceof CloisterError || !(error instanceof Error)) return error
  const { code, errcode } = error as { code?: unknown; errcode?: unknown }
  if (code !== 'ERR_SQLITE_ERROR' || typeof errcode !== 'number') return error
  const primary = errcode & 0xff
  if (primary === CONSTRAINT) {
    if (UNIQUE.has(errcode)) return new ConstraintError('unique', error)
    return new ConstraintError(errcode === CONSTRAINT_FOREIGN_KEY ? 'foreign_key' : 'other', error)
  }
  const reason = UNAVAILABLE[primary]
  return reason ? errors.storeUnavailable(`the store is unavailable: ${reason}`, error) : error
}

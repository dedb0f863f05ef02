import { appendFileSync, chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Entries that are kept. */
const LIMIT = 1000

/**
 * What was typed in conversations: one JSON string a line, oldest first, in a file that only its owner can read. What begins with a
 * space is not kept, as in a shell.
 */
export class HistoryFile {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  /** Newest first. @throws what the file system says, but for a file that is not there */
  load(): string[] {
    let text: string
    try {
      text = readFileSync(this.#file, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
    // A line that was cut by a full disk is no entry.
    const entries = text.split('\n').flatMap(entryOf)
    if (entries.length > 2 * LIMIT) this.#replace(entries.slice(-LIMIT))
    return entries.slice(-LIMIT).reverse()
  }

  /** @throws what the file system says */
  add(entry: string): void {
    if (!isKept(entry)) return
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 })
    appendFileSync(this.#file, `${JSON.stringify(entry)}\n`, { mode: 0o600 })
    // The mode above does not apply to a file that was left there.
    chmodSync(this.#file, 0o600)
  }

  #replace(entries: readonly string[]): void {
    const temporary = `${this.#file}.${process.pid}`
    writeFileSync(temporary, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''), { mode: 0o600 })
    renameSync(temporary, this.#file)
  }
}

export function isKept(entry: string): boolean {
  return entry.trim() !== '' && !entry.startsWith(' ')
}

function entryOf(line: string): string[] {
  try {
    const entry: unknown = JSON.parse(line)
    return typeof entry === 'string' ? [entry] : []
  } catch {
    return []
  }
}

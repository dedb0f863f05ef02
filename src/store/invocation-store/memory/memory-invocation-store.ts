import type { Invocation } from '../../../domain/invocation.ts'
import { decodeCursor } from '../../cursor.ts'
import { toPage } from '../../page.ts'
import { checkPageLimit } from '../../page-limit.ts'
import type { InvocationStore, Page, PageRequest } from '../../store.ts'

export interface MemoryInvocationStoreOptions {
  /** How long a record is kept after it was put, in seconds. */
  ttlSeconds: number
  /** Records that are kept; the oldest go first. Default 10,000. */
  maxRecords?: number
  /** UTF-16 units of JSON that are kept altogether; the oldest records go first. Default 64 Mi. */
  maxSize?: number
  clock?: () => Date
}

interface Entry {
  id: string
  session_id: string
  started_at: string
  tool_name: string
  status: Invocation['status']
  /** JSON text: neither side can change what the other holds, and it reads as from SQL. */
  record: string
  expires: number
}

/** Finished records in this process's memory, lost at its end. Bounded in time, number and size. */
export class MemoryInvocationStore implements InvocationStore {
  readonly kind = 'memory'
  readonly #ttl: number
  readonly #maxRecords: number
  readonly #maxSize: number
  readonly #clock: () => Date
  /** In the order of putting, so that what goes next stands first. */
  readonly #entries = new Map<string, Entry>()
  #size = 0

  constructor({
    ttlSeconds,
    maxRecords = 10_000,
    maxSize = 64 * 1024 * 1024,
    clock = () => new Date(),
  }: MemoryInvocationStoreOptions) {
    this.#ttl = ttlSeconds * 1000
    this.#maxRecords = maxRecords
    this.#maxSize = maxSize
    this.#clock = clock
  }

  async put(record: Invocation): Promise<void> {
    const { id, session_id, started_at, tool_name, status } = record
    this.#delete(id)
    const text = JSON.stringify(record)
    this.#entries.set(id, { id, session_id, started_at, tool_name, status, record: text, expires: this.#now() + this.#ttl })
    this.#size += text.length
    this.#evict()
  }

  async get(id: string): Promise<Invocation | null> {
    this.#evict()
    const entry = this.#entries.get(id)
    return entry ? JSON.parse(entry.record) : null
  }

  async list(
    sessionId: string,
    filter: { tool?: string; status?: Invocation['status'] },
    page: PageRequest,
  ): Promise<Page<Invocation>> {
    checkPageLimit(page.limit)
    this.#evict()
    const after = page.cursor === null ? null : (decodeCursor(page.cursor, ['string', 'string']) as [string, string])
    const matching = [...this.#entries.values()]
      .filter((entry) => entry.session_id === sessionId)
      .filter((entry) => filter.tool === undefined || entry.tool_name === filter.tool)
      .filter((entry) => filter.status === undefined || entry.status === filter.status)
      .filter((entry) => after === null || compare([entry.started_at, entry.id], after) < 0)
      .sort((a, b) => compare([b.started_at, b.id], [a.started_at, a.id]))
    return toPage(
      matching.slice(0, page.limit + 1),
      page.limit,
      (entry) => [entry.started_at, entry.id],
      (entry) => JSON.parse(entry.record),
    )
  }

  async deleteSession(sessionId: string): Promise<void> {
    for (const entry of [...this.#entries.values()]) if (entry.session_id === sessionId) this.#delete(entry.id)
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}

  #now(): number {
    return this.#clock().getTime()
  }

  #evict(): void {
    const now = this.#now()
    for (const entry of this.#entries.values()) {
      if (entry.expires > now && this.#entries.size <= this.#maxRecords && this.#size <= this.#maxSize) return
      this.#delete(entry.id)
    }
  }

  #delete(id: string): void {
    const entry = this.#entries.get(id)
    if (!entry) return
    this.#entries.delete(id)
    this.#size -= entry.record.length
  }
}

function compare([aTime, aId]: [string, string], [bTime, bId]: [string, string]): number {
  if (aTime !== bTime) return aTime < bTime ? -1 : 1
  return aId < bId ? -1 : aId > bId ? 1 : 0
}

import type { ArtifactStore } from '../../artifacts/artifact-store.ts'
import { errors } from '../../domain/errors.ts'
import type { Artifact, Invocation, InvocationStatus, LogLine } from '../../domain/invocation.ts'
import { type Caller, owns, type Permission } from '../../domain/principal.ts'
import type { Session } from '../../domain/session.ts'
import type { InvocationStore, Page, PageRequest, Store } from '../../store/store.ts'
import { accessibleSession, requirePermission } from '../access.ts'

export interface InvocationReaderDependencies {
  store: Store
  invocationStore: InvocationStore
  artifacts: ArtifactStore
}

/** Cursors of the open records start with it; those of the store have no dot. */
const OPEN_CURSOR = 'open.'

/** Records, logs and artifacts, open and finished ones, for those who may see them. */
export class InvocationReader {
  readonly #deps: InvocationReaderDependencies

  constructor(deps: InvocationReaderDependencies) {
    this.#deps = deps
  }

  /** The session, if it is the caller's. `permission` null: an agent credential may do this too. */
  async session(caller: Caller, sessionId: string, permission: Permission | null): Promise<Session> {
    const session = await accessibleSession(this.#deps.store, caller, sessionId)
    if (permission !== null) requirePermission(caller, permission)
    return session
  }

  /** Null: there is none. */
  async record(id: string): Promise<Invocation | null> {
    // Finished first is wrong: a record is put into the invocation store a moment before it is no longer open.
    const open = await this.#deps.store.openInvocations.get(id)
    return open?.record ?? (await this.#deps.invocationStore.get(id))
  }

  async get(caller: Caller, id: string, permission: Permission): Promise<Invocation> {
    const record = await this.record(id)
    const session = record && (await this.#deps.store.sessions.get(record.session_id))
    if (!session || session.state === 'deleted' || !owns(caller, session)) throw errors.notFound('invocation')
    requirePermission(caller, permission)
    return record
  }

  /** Newest first, the open ones before the finished ones. */
  async list(
    caller: Caller,
    sessionId: string,
    filter: { tool?: string; status?: InvocationStatus },
    page: PageRequest,
  ): Promise<Page<Invocation>> {
    await this.session(caller, sessionId, 'session:get')
    const { store, invocationStore } = this.#deps
    if (page.cursor !== null && !page.cursor.startsWith(OPEN_CURSOR)) return invocationStore.list(sessionId, filter, page)
    const before = page.cursor?.slice(OPEN_CURSOR.length) ?? null
    const open = (await store.openInvocations.ofSession(sessionId))
      .map(({ record }) => record)
      .filter(({ tool_name, status }) => (filter.tool ?? tool_name) === tool_name && (filter.status ?? status) === status)
      .filter(({ id }) => before === null || id < before)
      .sort((a, b) => (a.id < b.id ? 1 : -1))
    const shown = open.slice(0, page.limit)
    const last = shown.at(-1)
    if (last && shown.length === page.limit) return { items: shown, next_cursor: `${OPEN_CURSOR}${last.id}` }
    const finished = await invocationStore.list(sessionId, filter, { limit: page.limit - shown.length, cursor: null })
    const ids = new Set(shown.map(({ id }) => id))
    return { items: [...shown, ...finished.items.filter(({ id }) => !ids.has(id))], next_cursor: finished.next_cursor }
  }

  async logs(caller: Caller, id: string, page: PageRequest): Promise<Page<LogLine>> {
    await this.get(caller, id, 'session:get')
    return this.#deps.store.logs.page(id, page)
  }

  async artifacts(caller: Caller, id: string, page: PageRequest): Promise<Page<Artifact>> {
    await this.get(caller, id, 'session:get')
    return this.#deps.store.artifacts.page(id, page)
  }

  async artifact(caller: Caller, id: string, artifactId: string) {
    const record = await this.get(caller, id, 'session:get')
    const found = await this.#deps.store.artifacts.get(id, artifactId)
    if (!found || found.session_id !== record.session_id) throw errors.notFound('artifact')
    const { session_id, ...artifact } = found
    const open = async (range?: { start: number; end: number }): Promise<NodeJS.ReadableStream> => {
      const content = await this.#deps.artifacts.get(session_id, artifactId, range)
      if (!content) throw errors.notFound('artifact')
      return content
    }
    return { artifact, open }
  }
}

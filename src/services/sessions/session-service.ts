import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { type Budgets, NO_BUDGET, stricterBudget, unknownPrice } from '../../domain/budget.ts'
import { CloisterError, errors } from '../../domain/errors.ts'
import { newId, SESSION_ID } from '../../domain/ids.ts'
import { inGitDirectory, isUnder, resolvePath, WORKSPACE } from '../../domain/path.ts'
import { actorOf, type Caller, type Principal, principalKey, TOOL_ROLES } from '../../domain/principal.ts'
import { makeRedactor, type Redactor } from '../../domain/redaction.ts'
import { refuseSecrets, secretWarnings } from '../../domain/secret-names.ts'
import { ISOLATION_LEVELS, type Limits, NO_USAGE, nextState, type Session, type SessionAction } from '../../domain/session.ts'
import type { DriverCheck, VolumeStore } from '../../sandbox/sandbox-driver.ts'
import type { Page, PageRequest, Store } from '../../store/store.ts'
import { accessibleSession, requirePermission } from '../access.ts'
import type { CreateSession, Invocations, Sessions, Turns } from '../contracts.ts'
import type { EventLog } from '../event-log.ts'
import type { CodeSources } from './code-sources.ts'
import type { SandboxService } from './sandbox-service.ts'

export interface SessionServiceDependencies {
  store: Store
  eventLog: EventLog
  volumes: VolumeStore
  sandboxes: SandboxService
  sources: CodeSources
  invocations: Pick<Invocations, 'abandonSession'>
  turns: Pick<Turns, 'post' | 'abandonSession' | 'kick'>
  /** Null: the model of sessions that name none. Throws `invalid_argument` for one that no provider serves. */
  resolveModel: (name: string | null) => { label: string; price: object | null }
  /** What a sandbox started now would attest. */
  isolation: () => Promise<DriverCheck['isolation']>
  /** Defaults, and what users may ask for at most. Admins may ask for more. */
  limits: Limits
  /** What every session's agent may use at most. */
  budgets: Budgets
  idleTimeoutSeconds: number
  /** May admins create sessions on the machine's network? */
  allowHostNetwork: boolean
  /** Host uids for sessions when the server runs as root; null: the server's own uid. */
  uidRange: { first: number; last: number } | null
  clock: () => Date
  logger: Logger
}

/** How long running calls and the turn get to end in order, in ms. */
const HALT_GRACE_MS = 3000

/** The life of sessions. Every method checks the caller's permission and ownership itself. */
export class SessionService implements Sessions {
  readonly #deps: SessionServiceDependencies
  /** Uids handed out to sessions that are being created. */
  readonly #reservedUids = new Set<number>()

  constructor(deps: SessionServiceDependencies) {
    this.#deps = deps
  }

  async create(caller: Caller, request: CreateSession): Promise<{ session: Session; warnings: string[] }> {
    requirePermission(caller, 'session:create')
    const { store, eventLog, volumes, sandboxes } = this.#deps
    const session = await this.#draft(caller, request)
    if (await store.sessions.get(session.id)) throw errors.conflict(`the session id ${session.id} is taken`)

    session.sandbox_uid = await this.#reserveUid()
    try {
      const staging = {
        ...(request.instructions === undefined ? {} : { 'instructions.md': request.instructions }),
        ...(request.setup === undefined ? {} : { 'setup.sh': request.setup }),
      }
      await volumes.create(session.id, { uid: session.sandbox_uid, secrets: request.secrets ?? {}, staging })
      try {
        await eventLog.transaction(async (tx, emit) => {
          await tx.sessions.insert(session)
          await emit(session.id, 'session.created', actorOf(caller), {
            name: session.name,
            state: session.state,
            owner: session.owner,
            principal: session.principal,
            allowed_paths: session.allowed_paths,
            secret_names: session.secret_names,
            auto_approve: session.auto_approve,
            network: session.network,
            limits: session.limits,
            repo_url: session.repo_url,
            source: session.source_repo_path !== null,
          })
        })
      } catch (error) {
        await volumes.destroy(session.id)
        throw error
      }
    } finally {
      if (session.sandbox_uid !== null) this.#reservedUids.delete(session.sandbox_uid)
    }

    const warnings = secretWarnings(request.secrets ?? {})
    if (request.message !== undefined) warnings.push(...(await this.#firstMessage(caller, session.id, request.message)))
    if (session.state === 'initializing') {
      const initialized = sandboxes.initialize(session.id)
      // A copy of a local directory is quick, and its caller wants to use it at once; setup and clone are watched by events.
      if (!session.has_setup && session.repo_url === null) await this.#orForget(session.id, initialized)
      else this.#report(session.id, initialized)
    }
    return { session: (await store.sessions.get(session.id)) as Session, warnings }
  }

  async get(caller: Caller, id: string, options: { deleted?: boolean } = {}): Promise<Session> {
    const session = await accessibleSession(this.#deps.store, caller, id, options)
    requirePermission(caller, 'session:get')
    return session
  }

  async list(
    caller: Caller,
    filter: { owner?: string; state?: Session['state']; q?: string },
    page: PageRequest,
  ): Promise<Page<Session>> {
    requirePermission(caller, 'session:list')
    const { owner, ...rest } = filter
    if (caller.kind !== 'user') throw errors.permissionDenied('session:list')
    if (caller.admin) return this.#deps.store.sessions.list({ ...rest, ...ownerFilter(owner) }, page)
    // Somebody else's sessions do not exist for a user: naming another owner finds nothing.
    const own = { tenant_id: caller.tenant_id, actor_id: caller.actor_id }
    if (owner !== undefined && owner !== own.actor_id && owner !== principalKey(own)) return { items: [], next_cursor: null }
    return this.#deps.store.sessions.list({ ...rest, owner: own }, page)
  }

  async update(caller: Caller, id: string, fields: Parameters<Sessions['update']>[2]): Promise<Session> {
    await accessibleSession(this.#deps.store, caller, id)
    requirePermission(caller, 'session:update')
    const { clock, eventLog, sandboxes } = this.#deps
    refuseValues(fields, await sandboxes.redactor(id))
    const { expires_in_seconds, ...rest } = fields
    const changes = {
      ...rest,
      ...(expires_in_seconds === undefined
        ? {}
        : {
            expires_at:
              expires_in_seconds === null ? null : new Date(clock().getTime() + expires_in_seconds * 1000).toISOString(),
          }),
    }
    await eventLog.transaction(async (tx, emit) => {
      const now = await tx.sessions.get(id)
      if (!now || now.state === 'deleted') throw errors.notFound('session')
      await tx.sessions.update(id, { ...changes, last_activity_at: clock().toISOString() })
      await emit(id, 'session.updated', actorOf(caller), { fields: changes })
    })
    return (await this.#deps.store.sessions.get(id)) as Session
  }

  async close(caller: Caller, id: string, reason = 'closed by its user'): Promise<Session> {
    await accessibleSession(this.#deps.store, caller, id)
    requirePermission(caller, 'session:close')
    await this.#transition(caller, id, 'close', reason)
    await this.#halt(id, reason)
    return (await this.#deps.store.sessions.get(id)) as Session
  }

  async restore(caller: Caller, id: string): Promise<Session> {
    await accessibleSession(this.#deps.store, caller, id)
    requirePermission(caller, 'session:restore')
    const { store, sandboxes } = this.#deps
    const session = await this.#transition(caller, id, 'restore', null)
    const initialized = needsInitialization(session)
      ? sandboxes.initialize(id)
      : this.#transition(caller, id, 'initialized', null)
    if (session.has_setup || session.repo_url !== null)
      this.#report(
        id,
        initialized.then(() => this.#deps.turns.kick(id)),
      )
    else await initialized.then(() => this.#deps.turns.kick(id))
    return (await store.sessions.get(id)) as Session
  }

  async delete(caller: Caller, id: string): Promise<Session> {
    await accessibleSession(this.#deps.store, caller, id)
    requirePermission(caller, 'session:delete')
    const { store, sandboxes, volumes } = this.#deps
    await this.#transition(caller, id, 'delete', 'deleted by its user')
    await this.#halt(id, 'the session is deleted')
    await store.apiTokens.deleteOfSession(id)
    await volumes.destroy(id)
    sandboxes.forget(id)
    return (await store.sessions.get(id)) as Session
  }

  /** Ends whatever acts in a session that may act no more. Idempotent: the operator repeats it after a crash. */
  async #halt(id: string, reason: string): Promise<void> {
    const { turns, invocations, sandboxes } = this.#deps
    const ended = Promise.all([turns.abandonSession(id), invocations.abandonSession(id, reason)])
    // A call may itself be waiting for a start of the sandbox: after a grace the sandbox goes, and with it whatever waits.
    await Promise.race([ended, delay(HALT_GRACE_MS, undefined, { ref: false })])
    await sandboxes.stop(id, reason)
    await ended
  }

  async #transition(caller: Caller, id: string, action: SessionAction, reason: string | null): Promise<Session> {
    const { clock, eventLog } = this.#deps
    return eventLog.transaction(async (tx, emit) => {
      const session = await tx.sessions.get(id)
      if (!session) throw errors.notFound('session')
      const state = nextState(session.state, action)
      if (state instanceof CloisterError) throw state
      const at = clock().toISOString()
      const fields = {
        state,
        state_reason: reason,
        last_activity_at: at,
        closed_at: state === 'closed' ? at : state === 'deleted' ? session.closed_at : null,
      }
      await tx.sessions.update(id, fields)
      await emit(id, state === 'deleted' ? 'session.deleted' : 'session.state_changed', actorOf(caller), {
        from: session.state,
        to: state,
        reason,
      })
      return { ...session, ...fields }
    })
  }

  /** The session as asked for, with every field checked. Nothing is written yet. */
  async #draft(caller: Caller, request: CreateSession): Promise<Session> {
    if (caller.kind !== 'user') throw errors.permissionDenied('session:create')
    const { clock, sources, idleTimeoutSeconds } = this.#deps
    const secrets = request.secrets ?? {}
    const refused = refuseSecrets(secrets)
    if (refused) throw invalid(`secrets.${refused.name}`, refused.reason)
    // Before anything else is said about a field, since what is said may quote it.
    refuseValues(keptOf(request), makeRedactor(secrets))
    const id = request.session_id ?? newId('ses', clock().getTime())
    if (!SESSION_ID.test(id)) throw invalid('session_id', 'must match [a-z0-9][a-z0-9_-]{0,63}')
    const principal = admitPrincipal(caller, request.principal)
    if (request.source_repo_path !== undefined && request.repo_url !== undefined)
      throw invalid('repo_url', 'give source_repo_path or repo_url, not both')
    if (request.repo_url === undefined && (request.repo_ref !== undefined || request.repo_auth_secret !== undefined))
      throw invalid('repo_url', 'repo_ref and repo_auth_secret need it')
    if (request.repo_auth_secret !== undefined && !(request.repo_auth_secret in secrets))
      throw invalid('repo_auth_secret', 'must be the name of one of the secrets')
    if (request.repo_ref !== undefined && !GIT_REF.test(request.repo_ref))
      throw invalid('repo_ref', 'must be a branch, a tag or a commit')
    const allowedPaths = request.allowed_paths ?? ['.']
    checkAllowedPaths(allowedPaths)
    await this.#checkFloor(request.isolation_floor)
    const source = request.source_repo_path === undefined ? null : await sources.admitDirectory(request.source_repo_path)
    const repository = request.repo_url === undefined ? null : sources.admitRepository(request.repo_url).href
    const at = clock().toISOString()
    const session: Session = {
      id,
      name: request.name ?? id,
      state: 'idle',
      state_reason: null,
      owner: { tenant_id: principal.tenant_id, actor_id: principal.actor_id },
      principal,
      allowed_paths: allowedPaths,
      metadata: request.metadata ?? {},
      model: request.model ?? null,
      source_repo_path: source,
      repo_url: repository,
      repo_ref: request.repo_ref ?? null,
      repo_auth_secret: request.repo_auth_secret ?? null,
      has_setup: request.setup !== undefined,
      has_instructions: request.instructions !== undefined,
      provisioned: false,
      tools: { allow: request.tools?.allow ?? ['*'], deny: request.tools?.deny ?? [] },
      auto_approve: (request.auto_approve ?? []).map((pattern) => ({
        pattern,
        by: { tenant_id: caller.tenant_id, actor_id: caller.actor_id, admin: caller.admin },
      })),
      network: this.#admitNetwork(caller, request.network),
      isolation_floor: request.isolation_floor ?? 'none',
      limits: this.#admitLimits(caller, request.limits),
      sandbox: null,
      sandbox_uid: null,
      last_generation: 0,
      secret_names: Object.keys(secrets).sort(),
      parent_session_id: null,
      budgets: this.#admitBudgets(request),
      usage: NO_USAGE,
      idle_timeout_seconds: request.idle_timeout_seconds ?? idleTimeoutSeconds,
      created_at: at,
      last_activity_at: at,
      expires_at:
        request.expires_in_seconds === undefined
          ? null
          : new Date(clock().getTime() + request.expires_in_seconds * 1000).toISOString(),
      closed_at: null,
    }
    return needsInitialization(session) ? { ...session, state: 'initializing' } : session
  }

  /** A message that is refused (by policy, by its length) leaves a session without one, and its caller knows why. */
  async #firstMessage(caller: Caller, id: string, content: string): Promise<string[]> {
    try {
      await this.#deps.turns.post(caller, id, content)
      return []
    } catch (error) {
      if (!(error instanceof CloisterError) || error.status >= 500) throw error
      return [`the first message was not taken: ${error.message}`]
    }
  }

  #admitNetwork(caller: Extract<Caller, { kind: 'user' }>, network: Session['network'] | undefined): Session['network'] {
    if (network !== 'host') return 'none'
    if (!this.#deps.allowHostNetwork)
      throw invalid('network', '"host" is not offered by this server (CLOISTER_ALLOW_HOST_NETWORK)')
    if (!caller.admin)
      throw errors.permissionDenied('network:host', "only an admin may create a session on the machine's network")
    return 'host'
  }

  #admitLimits(caller: Extract<Caller, { kind: 'user' }>, asked: Partial<Limits> | undefined): Limits {
    const limits = { ...this.#deps.limits, ...asked }
    if (!caller.admin)
      for (const name of ['memory_mb', 'cpus', 'pids'] as const)
        if (limits[name] > this.#deps.limits[name])
          throw invalid(`limits.${name}`, `at most ${this.#deps.limits[name]} on this server`)
    return limits
  }

  /** The stricter of what is asked and what the server allows. Money counts only where its model's price is known. */
  #admitBudgets({ model, budgets: asked }: CreateSession): Budgets {
    const { resolveModel, budgets } = this.#deps
    if (model !== undefined) resolveModel(model)
    for (const whose of ['turn', 'session'] as const) {
      if (asked?.[whose]?.cost_usd === undefined) continue
      const { label, price } = resolveModel(model ?? null)
      if (price === null) throw invalid(`budgets.${whose}.cost_usd`, unknownPrice(label))
    }
    return {
      turn: stricterBudget(budgets.turn, { ...NO_BUDGET, ...asked?.turn }),
      session: stricterBudget(budgets.session, { ...NO_BUDGET, ...asked?.session }),
    }
  }

  async #checkFloor(floor: Session['isolation_floor'] | undefined): Promise<void> {
    if (floor === undefined || floor === 'none') return
    const got = (await this.#deps.isolation())?.level ?? 'none'
    if (ISOLATION_LEVELS.indexOf(got) < ISOLATION_LEVELS.indexOf(floor))
      throw errors.sandboxUnavailable(`isolation_floor is ${floor}, and this server's sandboxes give ${got}`)
  }

  async #reserveUid(): Promise<number | null> {
    const range = this.#deps.uidRange
    if (!range) return null
    const taken = new Set(await this.#deps.store.sessions.sandboxUids())
    for (let uid = range.first; uid <= range.last; uid++) {
      if (taken.has(uid) || this.#reservedUids.has(uid)) continue
      this.#reservedUids.add(uid)
      return uid
    }
    throw errors.sandboxUnavailable('every uid of CLOISTER_UID_RANGE is in use: delete sessions, or widen it')
  }

  /** The session says in its state what became of its initialization; its caller is not told by an exception. */
  async #orForget(id: string, initialized: Promise<unknown>): Promise<void> {
    await initialized.catch((error: unknown) => this.#deps.logger.info({ err: error, session_id: id }, 'initialization failed'))
  }

  #report(id: string, initialized: Promise<unknown>): void {
    void this.#orForget(id, initialized)
  }
}

/** What git-check-ref-format accepts, or a commit; no option, no range. */
const GIT_REF = /^(?![-/.])(?!.*(?:\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)))[^\s~^:?*[\\\p{Cc}]{1,256}(?<![/.])$/u

function needsInitialization(session: Session): boolean {
  return session.has_setup || (!session.provisioned && (session.repo_url !== null || session.source_repo_path !== null))
}

function invalid(path: string, reason: string): CloisterError {
  return errors.invalidArgument(`${path}: ${reason}`, [{ path, reason }])
}

/**
 * What of a request is stored in the clear, told by events or shown. Not the values of the secrets themselves; not instructions and
 * setup, which are files of the volume and nowhere else, and are redacted like any file when they are read; not the first message,
 * which is redacted like every message.
 */
function keptOf({ secrets, instructions: _, setup: __, message: ___, ...kept }: CreateSession): Record<string, unknown> {
  return { ...kept, secrets: Object.keys(secrets ?? {}) }
}

/** @throws invalid_argument with the names of the fields, and nothing of what is in them */
function refuseValues(fields: Record<string, unknown>, redactor: Redactor): void {
  const issues = Object.entries(fields).flatMap(([path, value]) =>
    redactor.find(value).map((name) => ({
      path,
      reason: `holds the value or the placeholder of the secret ${redactor.text(name)}, and would be kept and shown with it`,
    })),
  )
  if (issues.length > 0) throw errors.invalidArgument(issues.map(({ path, reason }) => `${path}: ${reason}`).join('; '), issues)
}

/** The principal of a session is its creator, unless an admin names another; its tool roles are at most the creator's. */
function admitPrincipal(caller: Extract<Caller, { kind: 'user' }>, asked: CreateSession['principal']): Principal {
  const named = asked ?? { tenant_id: caller.tenant_id, actor_id: caller.actor_id }
  if (!caller.admin && (named.tenant_id !== caller.tenant_id || named.actor_id !== caller.actor_id))
    throw errors.permissionDenied('session:create', 'principal must be the caller: only an admin may name somebody else')
  const roles = named.roles ?? caller.tool_roles.filter((role) => role === TOOL_ROLES[0])
  const excess = roles.filter((role) => !caller.tool_roles.includes(role))
  if (excess.length > 0)
    throw errors.permissionDenied(
      'session:create',
      `principal.roles goes beyond your tool roles (${caller.tool_roles.join(', ') || 'none'}): ${excess.join(', ')}`,
    )
  return { tenant_id: named.tenant_id, actor_id: named.actor_id, roles }
}

function checkAllowedPaths(paths: string[]): void {
  if (paths.length === 0) throw invalid('allowed_paths', 'must name at least one path; "." is the whole workspace')
  for (const path of paths) {
    const verdict = resolvePath(path)
    if (!verdict.ok) throw invalid('allowed_paths', verdict.reason)
    if (!isUnder(verdict.path, WORKSPACE))
      throw invalid('allowed_paths', `${JSON.stringify(path)} is not in ${WORKSPACE}; /session/data is always allowed`)
    if (inGitDirectory(verdict.path)) throw invalid('allowed_paths', '.git belongs to git')
  }
}

function ownerFilter(owner: string | undefined): { owner?: Session['owner']; owner_actor_id?: string } {
  if (owner === undefined) return {}
  const slash = owner.indexOf('/')
  return slash === -1
    ? { owner_actor_id: owner }
    : { owner: { tenant_id: owner.slice(0, slash), actor_id: owner.slice(slash + 1) } }
}

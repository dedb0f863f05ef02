import { randomBytes } from 'node:crypto'
import { sha256 } from '../../domain/canonical-json.ts'
import { type CloisterError, errors } from '../../domain/errors.ts'
import { newId } from '../../domain/ids.ts'
import { type Caller, owns, principalKey, TOOL_ROLES } from '../../domain/principal.ts'
import type { ApiToken, Page, PageRequest, RoleBinding, Store, User } from '../../store/store.ts'
import { accessibleSession } from '../access.ts'
import type { Auth } from '../contracts.ts'
import { LoginLimiter } from './login-limiter.ts'
import { LoginTokens, passwordMark } from './login-tokens.ts'
import { checkPasswordPolicy, Passwords } from './passwords.ts'

export const DEFAULT_TENANT = 'default'
export const ROLES = ['admin', 'user'] as const

/** Of users and of tenants. No slash: `tenant/name` must have one reading. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/
/** Of role bindings, which may also name principals that a gateway knows. */
const PRINCIPAL = /^[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}\/[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}$/
const API_TOKEN = /^clst_[A-Za-z0-9_-]{43}$/
const SESSION_TOKEN = /^clsa_[A-Za-z0-9_-]{43}$/
/** Longer than any credential of ours. */
const CREDENTIAL_MAX = 4096

const MAX_TOKENS = 100
const MAX_TOKEN_SECONDS = 10 * 365 * 86_400
const MAX_SESSION_TOKEN_SECONDS = 30 * 86_400
/** `last_used_at` is written at most once in so many ms: not one write for each request. */
const TOUCH_INTERVAL = 60_000

export interface AuthServiceOptions {
  store: Store
  clock?: () => Date
  /** At least 32 bytes. */
  jwtSecret: Uint8Array
  /** Of login tokens, whole seconds. */
  tokenTtlSeconds: number
  issuer?: string
  /**
   * Principals come from a gateway or from the request (auth modes `trusted_headers` and `payload`): an agent credential is then
   * good although its owner is no user of ours. Default false.
   */
  externalPrincipals?: boolean
}

type Owner = { tenant_id: string; actor_id: string }

/**
 * Who callers are. Nothing about a user is trusted from a token: whether it is active, its roles and its tool roles are read at
 * each authentication. Every failed authentication gives the same answer.
 */
export class AuthService implements Auth {
  readonly #store: Store
  readonly #clock: () => Date
  readonly #externalPrincipals: boolean
  readonly #loginTokens: LoginTokens
  readonly #passwords = new Passwords()
  readonly #limiter: LoginLimiter

  constructor({
    store,
    clock = () => new Date(),
    jwtSecret,
    tokenTtlSeconds,
    issuer = 'cloister',
    externalPrincipals = false,
  }: AuthServiceOptions) {
    this.#store = store
    this.#clock = clock
    this.#externalPrincipals = externalPrincipals
    this.#loginTokens = new LoginTokens({ secret: jwtSecret, ttlSeconds: tokenTtlSeconds, issuer })
    this.#limiter = new LoginLimiter(clock)
  }

  /**
   * @param user a name in `tenantId`, or `tenant/name`
   * @param address of the client, for the limit on failures; without it one who guesses can lock out a user
   */
  async login(
    user: string,
    password: string,
    tenantId: string = DEFAULT_TENANT,
    address = '',
  ): Promise<{ token: string; expires_at: string; user: User }> {
    const named = user.slice(0, 256).split('/')
    const [tenant, name] = named.length === 2 ? (named as [string, string]) : [tenantId, user]
    const succeeded = this.#limiter.begin(`${tenant}/${name}`.slice(0, 256), address)
    const known = NAME.test(tenant) && NAME.test(name) ? await this.#store.users.get(tenant, name) : null
    const candidate = known?.active ? known : null
    const matches = await this.#passwords.verify(candidate?.password_hash ?? null, password)
    if (!matches || !candidate) throw wrongLogin()
    const now = this.#clock()
    const { fresh, validAfter } = await this.#store.transaction(async (tx) => {
      // The user may have been changed while the password was hashed: an old password must not get a token that outlives it.
      const read = await tx.users.get(tenant, name)
      if (!read?.active || read.password_hash !== candidate.password_hash) throw wrongLogin()
      await tx.users.update(tenant, name, { last_login_at: now.toISOString() })
      return { fresh: { ...read, last_login_at: now.toISOString() }, validAfter: await tx.users.tokensValidAfter(tenant, name) }
    })
    succeeded()
    const issuedAt = Math.max(now.getTime(), validAfter === null ? 0 : Date.parse(validAfter))
    const claims = { tenant_id: tenant, actor_id: name, password: passwordMark(fresh.password_hash), issuedAt }
    return { ...(await this.#loginTokens.sign(claims)), user: withoutHash(fresh) }
  }

  async authenticate(bearer: string): Promise<Caller> {
    if (bearer.length > CREDENTIAL_MAX) throw errors.unauthorized()
    if (API_TOKEN.test(bearer)) return this.#byApiToken(bearer)
    if (SESSION_TOKEN.test(bearer)) return this.#bySessionToken(bearer)
    return this.#byLoginToken(bearer)
  }

  /**
   * First start: makes `default/admin`, with every role, when there is no user at all.
   * @param password absent: one is generated and returned
   */
  async ensureAdmin({
    password,
  }: {
    password?: string | undefined
  } = {}): Promise<{ created: boolean; generatedPassword?: string }> {
    if ((await this.#store.users.count()) > 0) return { created: false }
    const chosen = password ?? randomBytes(24).toString('base64url')
    checkPasswordPolicy(chosen)
    const hash = await this.#passwords.hash(chosen)
    const created = await this.#store.transaction(async (tx) => {
      if ((await tx.users.count()) > 0) return false
      await this.#insertUser(tx, {
        tenant_id: DEFAULT_TENANT,
        name: 'admin',
        hash,
        roles: ['admin'],
        tool_roles: [...TOOL_ROLES],
      })
      return true
    })
    return created && password === undefined ? { created, generatedPassword: chosen } : { created }
  }

  async createToken(
    caller: Caller,
    request: { name: string; expires_in_seconds?: number },
  ): Promise<{ token: ApiToken; value: string }> {
    const owner = tokenOwner(caller)
    if (!/^[^\p{Cc}]{1,64}$/u.test(request.name))
      throw invalid('name', 'must have 1 to 64 characters, none of them a control character')
    const seconds = request.expires_in_seconds
    if (seconds !== undefined) checkSeconds('expires_in_seconds', seconds, MAX_TOKEN_SECONDS)
    return this.#store.transaction(async (tx) => {
      const user = await tx.users.get(owner.tenant_id, owner.actor_id)
      if (!user?.active) throw errors.permissionDenied('token:create', 'API tokens are for users of this server')
      if ((await tx.apiTokens.listOf(owner)).length >= MAX_TOKENS)
        throw errors.conflict(`you have ${MAX_TOKENS} API tokens: revoke one first`)
      return this.#insertToken(tx, 'clst_', owner, request.name, seconds ?? null, null)
    })
  }

  async listTokens(caller: Caller, page: PageRequest): Promise<Page<ApiToken>> {
    return this.#store.apiTokens.pageOf(tokenOwner(caller), page)
  }

  async revokeToken(caller: Caller, id: string): Promise<void> {
    if (!(await this.#store.apiTokens.delete(id, tokenOwner(caller)))) throw errors.notFound('API token')
  }

  /** It ends with the session's own expiry at the latest. */
  async mintSessionToken(caller: Caller, sessionId: string, ttlSeconds: number): Promise<{ token: string; expires_at: string }> {
    checkSeconds('ttl_seconds', ttlSeconds, MAX_SESSION_TOKEN_SECONDS)
    return this.#store.transaction(async (tx) => {
      const session = await accessibleSession(tx, caller, sessionId)
      if (caller.kind !== 'user') throw errors.permissionDenied('session:message', 'an agent credential cannot make others')
      const now = this.#clock()
      await tx.apiTokens.deleteExpired(sessionId, now.toISOString())
      const left = session.expires_at === null ? ttlSeconds : (Date.parse(session.expires_at) - now.getTime()) / 1000
      const seconds = Math.max(0, Math.min(ttlSeconds, left))
      const { token, value } = await this.#insertToken(tx, 'clsa_', caller, `session ${sessionId}`, seconds, sessionId)
      return { token: value, expires_at: token.expires_at as string }
    })
  }

  async listUsers(caller: Caller, page: PageRequest): Promise<Page<User>> {
    requireAdmin(caller)
    return this.#store.users.page(page)
  }

  async getUser(caller: Caller, name: string, tenantId: string = DEFAULT_TENANT): Promise<User> {
    requireAdmin(caller)
    return existing(await this.#store.users.get(tenantId, name))
  }

  /** Roles default to `user`, tool roles to `developer`. */
  async createUser(
    caller: Caller,
    request: { name: string; password: string; tenant_id?: string; roles?: string[]; tool_roles?: string[] },
  ): Promise<User> {
    requireAdmin(caller)
    const { name, password, tenant_id = DEFAULT_TENANT, roles = ['user'], tool_roles = ['developer'] } = request
    checkName('name', name)
    checkName('tenant_id', tenant_id)
    checkPasswordPolicy(password)
    checkRoles(roles)
    checkToolRoles(tool_roles)
    const hash = await this.#passwords.hash(password)
    return this.#store.transaction(async (tx) => {
      await this.#insertUser(tx, { tenant_id, name, hash, roles, tool_roles })
      return existing(await tx.users.get(tenant_id, name))
    })
  }

  /** A new password and a deactivation end the user's logins. API tokens stay, and do nothing while the user is inactive. */
  async updateUser(
    caller: Caller,
    name: string,
    fields: { password?: string; tool_roles?: string[]; active?: boolean; roles?: string[] },
    tenantId: string = DEFAULT_TENANT,
  ): Promise<User> {
    requireAdmin(caller)
    const { password, tool_roles, active, roles } = fields
    if (password !== undefined) checkPasswordPolicy(password)
    if (tool_roles) checkToolRoles(tool_roles)
    if (roles) checkRoles(roles)
    const hash = password === undefined ? undefined : await this.#passwords.hash(password)
    return this.#keepingAnAdmin(async (tx) => {
      const ended = hash !== undefined || active === false
      const found = await tx.users.update(tenantId, name, {
        ...(hash !== undefined && { password_hash: hash }),
        ...(tool_roles && { tool_roles: [...new Set(tool_roles)] }),
        ...(active !== undefined && { active }),
        ...(ended && { tokens_valid_after: await this.#afterAllTokens(tx, tenantId, name) }),
      })
      if (!found) throw errors.notFound('user')
      if (roles) await this.#setRoles(tx, { tenant_id: tenantId, actor_id: name }, roles)
      return existing(await tx.users.get(tenantId, name))
    })
  }

  /** With its role bindings and tokens. Its sessions stay on record under its name. */
  async deleteUser(caller: Caller, name: string, tenantId: string = DEFAULT_TENANT): Promise<void> {
    requireAdmin(caller)
    await this.#keepingAnAdmin(async (tx) => {
      if (!(await tx.users.delete(tenantId, name))) throw errors.notFound('user')
      const owner = { tenant_id: tenantId, actor_id: name }
      await this.#setRoles(tx, owner, [])
      await tx.apiTokens.deleteOfOwner(owner)
    })
  }

  async listRoleBindings(caller: Caller, page: PageRequest): Promise<Page<RoleBinding>> {
    requireAdmin(caller)
    return this.#store.roleBindings.page(page)
  }

  /** Again is no error. */
  async createRoleBinding(
    caller: Caller,
    { principal, role_name }: { principal: string; role_name: string },
  ): Promise<RoleBinding> {
    requireAdmin(caller)
    if (!PRINCIPAL.test(principal)) throw invalid('principal', 'must be tenant_id/actor_id')
    checkRoles([role_name], 'role_name')
    return this.#store.transaction(async (tx) => {
      await tx.roleBindings.put({ principal, role_name, created_at: this.#clock().toISOString() })
      const bindings = await tx.roleBindings.list()
      const made = bindings.find((binding) => binding.principal === principal && binding.role_name === role_name)
      if (!made) throw errors.internal('a role binding that was just made is not there')
      return made
    })
  }

  async deleteRoleBinding(caller: Caller, principal: string, roleName: string): Promise<void> {
    requireAdmin(caller)
    await this.#keepingAnAdmin(async (tx) => {
      if (!(await tx.roleBindings.delete(principal, roleName))) throw errors.notFound('role binding')
    })
  }

  async #byLoginToken(bearer: string): Promise<Caller> {
    const claims = await this.#loginTokens.verify(bearer, this.#clock())
    if (!claims) throw errors.unauthorized()
    const { tenant_id, actor_id, password, issuedAt } = claims
    const user = await this.#store.users.get(tenant_id, actor_id)
    if (!user || passwordMark(user.password_hash) !== password) throw errors.unauthorized()
    const validAfter = await this.#store.users.tokensValidAfter(tenant_id, actor_id)
    if (validAfter !== null && issuedAt < Date.parse(validAfter)) throw errors.unauthorized()
    return callerOf(user)
  }

  async #byApiToken(bearer: string): Promise<Caller> {
    const token = await this.#liveToken(bearer)
    if (token.session_id !== null) throw errors.unauthorized()
    const caller = await this.#activeUser(token.owner)
    await this.#touch(token)
    return caller
  }

  async #bySessionToken(bearer: string): Promise<Caller> {
    const token = await this.#liveToken(bearer)
    if (token.session_id === null) throw errors.unauthorized()
    const session = await this.#store.sessions.get(token.session_id)
    if (!session || session.state === 'deleted') throw errors.unauthorized()
    const { tenant_id, actor_id } = token.owner
    const known = await this.#store.users.get(tenant_id, actor_id)
    if (known || !this.#externalPrincipals) {
      // Whoever made it must still be somebody, and the session still theirs: an admin may be none any more.
      const maker = await this.#activeUser(token.owner)
      if (!owns(maker, session)) throw errors.unauthorized()
    }
    await this.#touch(token)
    return { kind: 'mcp', tenant_id, actor_id, session_id: session.id }
  }

  async #liveToken(value: string): Promise<ApiToken & { session_id: string | null }> {
    const token = await this.#store.apiTokens.byHash(sha256(value))
    const live = token && (token.expires_at === null || Date.parse(token.expires_at) > this.#clock().getTime())
    if (!live) throw errors.unauthorized()
    return token
  }

  async #touch(token: ApiToken): Promise<void> {
    const now = this.#clock()
    if (token.last_used_at !== null && now.getTime() - Date.parse(token.last_used_at) < TOUCH_INTERVAL) return
    await this.#store.apiTokens.touch(token.id, now.toISOString())
  }

  async #activeUser({ tenant_id, actor_id }: Owner): Promise<Caller> {
    return callerOf(await this.#store.users.get(tenant_id, actor_id))
  }

  async #insertToken(
    tx: Store,
    kind: 'clst_' | 'clsa_',
    owner: Owner,
    name: string,
    seconds: number | null,
    sessionId: string | null,
  ): Promise<{ token: ApiToken; value: string }> {
    const value = `${kind}${randomBytes(32).toString('base64url')}`
    const now = this.#clock()
    const token: ApiToken = {
      id: newId('tok', now.getTime()),
      name,
      prefix: value.slice(0, 9),
      owner: { tenant_id: owner.tenant_id, actor_id: owner.actor_id },
      created_at: now.toISOString(),
      expires_at: seconds === null ? null : new Date(now.getTime() + seconds * 1000).toISOString(),
      last_used_at: null,
    }
    await tx.apiTokens.insert({ ...token, hash: sha256(value), session_id: sessionId })
    return { token, value }
  }

  async #insertUser(
    tx: Store,
    user: { tenant_id: string; name: string; hash: string; roles: string[]; tool_roles: string[] },
  ): Promise<void> {
    const { tenant_id, name, hash, roles, tool_roles } = user
    const created_at = this.#clock().toISOString()
    await tx.users.insert({
      tenant_id,
      name,
      password_hash: hash,
      tool_roles: [...new Set(tool_roles)],
      active: true,
      created_at,
    })
    // Nothing that a deleted user of the same name left behind is the new one's.
    await tx.apiTokens.deleteOfOwner({ tenant_id, actor_id: name })
    await this.#setRoles(tx, { tenant_id, actor_id: name }, roles)
  }

  async #setRoles(tx: Store, owner: Owner, roles: string[]): Promise<void> {
    const principal = principalKey(owner)
    for (const role of await tx.roleBindings.of(principal))
      if (!roles.includes(role)) await tx.roleBindings.delete(principal, role)
    for (const role_name of roles) await tx.roleBindings.put({ principal, role_name, created_at: this.#clock().toISOString() })
  }

  /** A time that every token issued so far is older than. Logins wait for it rather than fail (see `login`). */
  async #afterAllTokens(tx: Store, tenantId: string, name: string): Promise<string> {
    const before = await tx.users.tokensValidAfter(tenantId, name)
    return new Date(Math.max(this.#clock().getTime(), before === null ? 0 : Date.parse(before)) + 1).toISOString()
  }

  /** Undoes `work` if it would leave the server without anybody who can administer it. */
  async #keepingAnAdmin<T>(work: (tx: Store) => Promise<T>): Promise<T> {
    return this.#store.transaction(async (tx) => {
      const before = await hasActiveAdmin(tx)
      const result = await work(tx)
      if (before && !(await hasActiveAdmin(tx)))
        throw errors.conflict('this is the last active admin: make another user admin first')
      return result
    })
  }
}

/** A user without any role holds no permission, so it is no caller. */
function callerOf(user: User | null): Caller {
  if (!user?.active) throw errors.unauthorized()
  if (!ROLES.some((role) => user.roles.includes(role)))
    throw errors.permissionDenied('role', 'your user has no role: an admin has to give it one')
  return {
    kind: 'user',
    tenant_id: user.tenant_id,
    actor_id: user.name,
    admin: user.roles.includes('admin'),
    tool_roles: user.tool_roles,
  }
}

async function hasActiveAdmin(tx: Store): Promise<boolean> {
  return (await tx.users.list()).some((user) => user.active && user.roles.includes('admin'))
}

function wrongLogin(): CloisterError {
  return errors.unauthorized('wrong user name or password')
}

function requireAdmin(caller: Caller): void {
  if (caller.kind === 'system' || (caller.kind === 'user' && caller.admin)) return
  throw errors.permissionDenied('user:admin', 'only an admin may do this')
}

function tokenOwner(caller: Caller): Owner {
  if (caller.kind !== 'user') throw errors.permissionDenied('token:create', 'only a user has API tokens')
  return { tenant_id: caller.tenant_id, actor_id: caller.actor_id }
}

function existing(user: (User & { password_hash: string }) | null): User {
  if (!user) throw errors.notFound('user')
  return withoutHash(user)
}

function withoutHash({ password_hash: _, ...user }: User & { password_hash: string }): User {
  return user
}

function invalid(path: string, reason: string): CloisterError {
  return errors.invalidArgument(`${path} ${reason}`, [{ path, reason }])
}

function checkName(path: string, name: string): void {
  if (!NAME.test(name)) throw invalid(path, 'must start with a-z or 0-9 and go on with at most 63 of a-z, 0-9, ".", "_" and "-"')
}

function checkRoles(roles: string[], path = 'roles'): void {
  if (roles.length === 0) throw invalid(path, `must name at least one of ${ROLES.join(', ')}`)
  for (const role of roles) if (!ROLES.some((known) => known === role)) throw invalid(path, `must be of ${ROLES.join(', ')}`)
}

function checkToolRoles(roles: string[]): void {
  for (const role of roles)
    if (!TOOL_ROLES.some((known) => known === role)) throw invalid('tool_roles', `must be of ${TOOL_ROLES.join(', ')}`)
}

function checkSeconds(path: string, seconds: number, maximum: number): void {
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > maximum)
    throw invalid(path, `must be a whole number from 1 to ${maximum}`)
}

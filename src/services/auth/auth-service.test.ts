import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { sha256 } from '../../domain/canonical-json.ts'
import type { Caller } from '../../domain/principal.ts'
import { openSqliteStore } from '../../store/sql/open-sqlite-store.ts'
import { session } from '../../store/sql/records.fixture.ts'
import type { Store } from '../../store/store.ts'
import { AuthService, type AuthServiceOptions } from './auth-service.ts'
import { passwordMark } from './login-tokens.ts'

const SECRET = new Uint8Array(32).fill(7)
const ADMIN: Caller = { kind: 'user', tenant_id: 'default', actor_id: 'admin', admin: true, tool_roles: [] }
const PASSWORD = 'correct horse'
const ADMIN_PASSWORD = 'battery staple'

const FIRST_PAGE = { limit: 200, cursor: null }

let folder: string
let store: Store
let now: number
let auth: AuthService

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cloister-test-'))
  store = await openSqliteStore(join(folder, 'store.db'))
  onTestFinished(async () => {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  })
  now = Date.UTC(2026, 0, 1)
  auth = service()
  await auth.ensureAdmin({ password: ADMIN_PASSWORD })
})

function service(options: Partial<AuthServiceOptions> = {}): AuthService {
  return new AuthService({ store, clock: () => new Date(now), jwtSecret: SECRET, tokenTtlSeconds: 3600, ...options })
}

async function alice(fields: { tool_roles?: string[]; roles?: string[]; tenant_id?: string } = {}): Promise<Caller> {
  await auth.createUser(ADMIN, { name: 'alice', password: PASSWORD, ...fields })
  return auth.authenticate((await auth.login('alice', PASSWORD, fields.tenant_id)).token)
}

const code = (expected: string) => ({ code: expected })

describe('first start', () => {
  test('makes an admin with a generated password, once', async () => {
    await store.users.delete('default', 'admin')
    const first = await auth.ensureAdmin()
    expect(first).toEqual({ created: true, generatedPassword: expect.stringMatching(/^[\w-]{32}$/) })
    const { user } = await auth.login('admin', first.generatedPassword as string)
    expect(user).toMatchObject({
      name: 'admin',
      tenant_id: 'default',
      roles: ['admin'],
      tool_roles: ['developer', 'devops', 'platform_admin'],
    })
    expect(await auth.ensureAdmin({ password: 'another password' })).toEqual({ created: false })
    await expect(auth.login('admin', 'another password')).rejects.toMatchObject(code('unauthorized'))
  })

  test('takes a given password, and does not show it', async () => {
    await store.users.delete('default', 'admin')
    await expect(auth.ensureAdmin({ password: 'short' })).rejects.toMatchObject(code('invalid_argument'))
    const both = await Promise.all([auth.ensureAdmin({ password: PASSWORD }), auth.ensureAdmin({ password: PASSWORD })])
    expect(both).toEqual(expect.arrayContaining([{ created: true }, { created: false }]))
    await auth.login('admin', PASSWORD)
  })

  test('a key that can be guessed is refused', () => {
    expect(() => service({ jwtSecret: new Uint8Array(31) })).toThrow('32 bytes')
  })
})

describe('login', () => {
  test('gives a token that says who, for as long as it says', async () => {
    const caller = await alice()
    expect(caller).toEqual({ kind: 'user', tenant_id: 'default', actor_id: 'alice', admin: false, tool_roles: ['developer'] })
    now += 5000
    const login = await auth.login('alice', PASSWORD)
    expect(login.expires_at).toBe(new Date(now + 3_600_000).toISOString())
    expect(login.user.last_login_at).toBe(new Date(now).toISOString())
    expect('password_hash' in login.user).toBe(false)
    now += 3_599_000
    await auth.authenticate(login.token)
    now += 1000
    await expect(auth.authenticate(login.token)).rejects.toMatchObject(code('unauthorized'))
  })

  test('keeps argon2id hashes, and no password anywhere in the files', async () => {
    await alice()
    expect((await store.users.get('default', 'alice'))?.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    for (const name of ['store.db', 'store.db-wal']) expect(readFileSync(join(folder, name)).includes(PASSWORD)).toBe(false)
  })

  test('users of one name in two tenants are two', async () => {
    await auth.createUser(ADMIN, { name: 'alice', password: PASSWORD })
    await auth.createUser(ADMIN, { name: 'alice', password: 'in the other', tenant_id: 'acme' })
    const acme = { tenant_id: 'acme', actor_id: 'alice' }
    expect(await auth.authenticate((await auth.login('acme/alice', 'in the other')).token)).toMatchObject(acme)
    expect(await auth.authenticate((await auth.login('alice', 'in the other', 'acme')).token)).toMatchObject(acme)
    await expect(auth.login('alice', 'in the other')).rejects.toMatchObject(code('unauthorized'))
    await expect(auth.login('acme/alice', PASSWORD)).rejects.toMatchObject(code('unauthorized'))
  })

  test('all failures look the same', async () => {
    await auth.createUser(ADMIN, { name: 'alice', password: PASSWORD })
    await auth.createUser(ADMIN, { name: 'bob', password: PASSWORD })
    await auth.updateUser(ADMIN, 'bob', { active: false })
    const attempts: [string, string, string?][] = [
      ['alice', 'wrong password'],
      ['alice', ''],
      ['alice', `${PASSWORD}${'x'.repeat(2000)}`],
      ['nobody', PASSWORD],
      ['bob', PASSWORD],
      ['', PASSWORD],
      ["' or 1=1 --", PASSWORD],
      ['default/alice/x', PASSWORD],
      ['../alice', PASSWORD],
      ['alice', PASSWORD, 'no-such-tenant'],
      ['x'.repeat(100_000), PASSWORD],
    ]
    const failures = await Promise.all(attempts.map((attempt) => auth.login(...attempt).catch((error) => error)))
    for (const failure of failures) expect(failure).toMatchObject(code('unauthorized'))
    expect(new Set(failures.map((failure) => `${failure.message}${JSON.stringify(failure.details)}`)).size).toBe(1)
  })

  describe('many failures', () => {
    beforeEach(async () => {
      await auth.createUser(ADMIN, { name: 'alice', password: PASSWORD })
    })
    const fail = (user: string, address: string, times: number) =>
      Promise.allSettled(Array.from({ length: times }, () => auth.login(user, 'wrong password', 'default', address)))

    test('of one user from one address: also the right password has to wait, nobody else has', async () => {
      const results = await fail('alice', '10.0.0.1', 12)
      const codes = results.map((result) => result.status === 'rejected' && result.reason.code)
      expect(codes.filter((entry) => entry === 'unauthorized')).toHaveLength(10)
      expect(codes.filter((entry) => entry === 'rate_limited')).toHaveLength(2)
      await expect(auth.login('alice', PASSWORD, 'default', '10.0.0.1')).rejects.toMatchObject({
        code: 'rate_limited',
        details: { retry_after_seconds: 900 },
      })
      await auth.login('alice', PASSWORD, 'default', '10.0.0.2')
      await auth.login('admin', ADMIN_PASSWORD, 'default', '10.0.0.1')
      now += 900_000
      await auth.login('alice', PASSWORD, 'default', '10.0.0.1')
    })

    test('before a success are forgotten', async () => {
      for (let i = 0; i < 3; i++) {
        await fail('alice', '10.0.0.1', 9)
        await auth.login('alice', PASSWORD, 'default', '10.0.0.1')
      }
    })

    test('of one address over many names', async () => {
      for (let i = 0; i < 20; i++) await fail(`nobody-${i}`, '10.0.0.1', 5)
      await expect(auth.login('alice', PASSWORD, 'default', '10.0.0.1')).rejects.toMatchObject(code('rate_limited'))
      await auth.login('alice', PASSWORD, 'default', '10.0.0.2')
    })
  })

  test('a password that is changed while it is checked gets no token', async () => {
    await auth.createUser(ADMIN, { name: 'alice', password: PASSWORD })
    const hash = (await store.users.get('default', 'admin'))?.password_hash as string
    const attempt = auth.login('alice', PASSWORD)
    const changed = store.users.update('default', 'alice', { password_hash: hash })
    await expect(Promise.all([attempt, changed])).rejects.toMatchObject(code('unauthorized'))
  })
})

describe('a login token', () => {
  let pwd: string
  beforeEach(async () => {
    pwd = passwordMark((await store.users.get('default', 'admin'))?.password_hash as string)
  })
  const sign = (payload: Record<string, unknown>, key: Uint8Array = SECRET, alg = 'HS256', typ = 'cloister-login+jwt') =>
    new SignJWT(payload).setProtectedHeader({ alg, typ }).sign(key)
  const payload = (fields: Record<string, unknown> = {}) => ({
    tenant: 'default',
    pwd,
    iss: 'cloister',
    aud: 'cloister-api',
    sub: 'admin',
    iat: now / 1000,
    exp: now / 1000 + 100,
    ...fields,
  })
  const unsigned = (header: object, body: object) =>
    [header, body].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')

  test('made by hand with the key, as we make it, is good (so that what follows fails for its own reason)', async () => {
    expect(await auth.authenticate(await sign(payload()))).toEqual({
      kind: 'user',
      tenant_id: 'default',
      actor_id: 'admin',
      admin: true,
      tool_roles: ['developer', 'devops', 'platform_admin'],
    })
  })

  const FORGED: Record<string, () => Promise<string> | string> = {
    'no algorithm': () => `${unsigned({ alg: 'none', typ: 'cloister-login+jwt' }, payload())}.`,
    'no algorithm, other spelling': () => `${unsigned({ alg: 'nOnE', typ: 'cloister-login+jwt' }, payload())}.`,
    'no algorithm, with a signature': () => {
      const body = unsigned({ alg: 'none', typ: 'cloister-login+jwt' }, payload())
      return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`
    },
    'another key': () => sign(payload(), new Uint8Array(32).fill(8)),
    'another algorithm': () => sign(payload(), new Uint8Array(64).fill(7), 'HS512'),
    'another algorithm, our key': () => {
      const body = unsigned({ alg: 'HS384', typ: 'cloister-login+jwt' }, payload())
      return `${body}.${createHmac('sha384', SECRET).update(body).digest('base64url')}`
    },
    'another type': () => sign(payload(), SECRET, 'HS256', 'JWT'),
    'another issuer': () => sign(payload({ iss: 'other' })),
    'another audience': () => sign(payload({ aud: 'other' })),
    'no issuer': () => sign(payload({ iss: undefined })),
    'no audience': () => sign(payload({ aud: undefined })),
    'no subject': () => sign(payload({ sub: undefined })),
    'no tenant': () => sign(payload({ tenant: undefined })),
    'no time of issue': () => sign(payload({ iat: undefined })),
    'no expiry': () => sign(payload({ exp: undefined })),
    expired: () => sign(payload({ exp: now / 1000 - 1 })),
    'not yet': () => sign(payload({ nbf: now / 1000 + 50 })),
    'an unknown user': () => sign(payload({ sub: 'nobody' })),
    'another tenant': () => sign(payload({ tenant: 'acme' })),
    'no password': () => sign(payload({ pwd: undefined })),
    'another password': () => sign(payload({ pwd: passwordMark('x') })),
    'a tenant that is no text': () => sign(payload({ tenant: { $ne: '' } })),
    'a changed payload': async () => {
      const [header, , signature] = (await sign(payload())).split('.')
      return `${header}.${Buffer.from(JSON.stringify(payload({ exp: 9e9 }))).toString('base64url')}.${signature}`
    },
    'the signature cut off': async () => (await sign(payload())).replace(/[^.]*$/, ''),
    empty: () => '',
    'with Bearer before it': async () => `Bearer ${await sign(payload())}`,
    huge: async () => sign(payload({ pad: 'x'.repeat(5000) })),
  }
  test.each(Object.keys(FORGED))('%s: unauthorized', async (kind) => {
    await expect(auth.authenticate(await (FORGED[kind] as () => string)())).rejects.toMatchObject(code('unauthorized'))
  })

  test.each([
    ['a changed password', () => auth.updateUser(ADMIN, 'alice', { password: 'new password' }), 'new password'],
    [
      'a deactivation, also when it is taken back',
      async () => {
        await auth.updateUser(ADMIN, 'alice', { active: false })
        await auth.updateUser(ADMIN, 'alice', { active: true })
      },
      PASSWORD,
    ],
    [
      'deletion, also when the name is given to another',
      async () => {
        await auth.deleteUser(ADMIN, 'alice')
        await auth.createUser(ADMIN, { name: 'alice', password: 'new password' })
      },
      'new password',
    ],
  ])('ends with %s, in the same millisecond; a new login is good', async (_, change, password) => {
    await auth.createUser(ADMIN, { name: 'alice', password: PASSWORD })
    const { token } = await auth.login('alice', PASSWORD)
    await auth.authenticate(token)
    await change()
    await expect(auth.authenticate(token)).rejects.toMatchObject(code('unauthorized'))
    await auth.authenticate((await auth.login('alice', password)).token)
  })

  test('of an inactive or deleted user is unauthorized', async () => {
    await auth.createUser(ADMIN, { name: 'alice', password: PASSWORD })
    const { token } = await auth.login('alice', PASSWORD)
    // Past the service, so that only the flag says so.
    await store.users.update('default', 'alice', { active: false })
    await expect(auth.authenticate(token)).rejects.toMatchObject(code('unauthorized'))
    await store.users.delete('default', 'alice')
    await expect(auth.authenticate(token)).rejects.toMatchObject(code('unauthorized'))
  })

  test('roles are those of now, not of the login', async () => {
    await auth.createUser(ADMIN, { name: 'alice', password: PASSWORD, roles: ['admin'], tool_roles: ['platform_admin'] })
    const { token } = await auth.login('alice', PASSWORD)
    expect(await auth.authenticate(token)).toMatchObject({ admin: true, tool_roles: ['platform_admin'] })
    await auth.updateUser(ADMIN, 'alice', { roles: ['user'], tool_roles: [] })
    expect(await auth.authenticate(token)).toMatchObject({ admin: false, tool_roles: [] })
    await auth.deleteRoleBinding(ADMIN, 'default/alice', 'user')
    await expect(auth.authenticate(token)).rejects.toMatchObject(code('permission_denied'))
  })
})

describe('an API token', () => {
  test('is shown once, stored as a hash, good until it expires', async () => {
    const caller = await alice()
    const { token, value } = await auth.createToken(caller, { name: 'ci', expires_in_seconds: 60 })
    expect(value).toMatch(/^clst_[\w-]{43}$/)
    expect(token).toMatchObject({ name: 'ci', prefix: value.slice(0, 9), expires_at: new Date(now + 60_000).toISOString() })
    expect(JSON.stringify((await auth.listTokens(caller, FIRST_PAGE)).items)).not.toContain(value)
    for (const name of ['store.db', 'store.db-wal']) expect(readFileSync(join(folder, name)).includes(value.slice(9))).toBe(false)
    expect(await auth.authenticate(value)).toEqual(caller)
    expect((await auth.listTokens(caller, FIRST_PAGE)).items[0]?.last_used_at).toBe(new Date(now).toISOString())
    now += 60_000
    await expect(auth.authenticate(value)).rejects.toMatchObject(code('unauthorized'))
  })

  test('that does not expire is good until it is revoked', async () => {
    const caller = await alice()
    const { token, value } = await auth.createToken(caller, { name: 'ci' })
    now += 5 * 365 * 86_400_000
    await auth.authenticate(value)
    await expect(auth.revokeToken(ADMIN, token.id)).rejects.toMatchObject(code('not_found'))
    await auth.authenticate(value)
    await auth.revokeToken(caller, token.id)
    await expect(auth.authenticate(value)).rejects.toMatchObject(code('unauthorized'))
    await expect(auth.revokeToken(caller, token.id)).rejects.toMatchObject(code('not_found'))
  })

  test('does what its owner may do now', async () => {
    const caller = await alice()
    const { value } = await auth.createToken(caller, { name: 'ci' })
    await auth.updateUser(ADMIN, 'alice', { roles: ['admin'] })
    expect(await auth.authenticate(value)).toMatchObject({ admin: true })
    await auth.updateUser(ADMIN, 'alice', { active: false })
    await expect(auth.authenticate(value)).rejects.toMatchObject(code('unauthorized'))
    await auth.updateUser(ADMIN, 'alice', { active: true })
    await auth.authenticate(value)
    await auth.deleteUser(ADMIN, 'alice')
    expect(await store.apiTokens.byHash(sha256(value))).toBeNull()
    await auth.createUser(ADMIN, { name: 'alice', password: PASSWORD })
    await expect(auth.authenticate(value)).rejects.toMatchObject(code('unauthorized'))
  })

  test.each(['clst_', 'clst_x', `clst_${'A'.repeat(43)}`, `clst_${'A'.repeat(44)}`, `clsa_${'A'.repeat(43)}`])(
    'the made-up %s is unauthorized',
    async (value) => {
      await expect(auth.authenticate(value)).rejects.toMatchObject(code('unauthorized'))
    },
  )

  test.each([
    [{ name: '' }],
    [{ name: 'x'.repeat(65) }],
    [{ name: 'a\nb' }],
    [{ name: 'x', expires_in_seconds: 0 }],
    [{ name: 'x', expires_in_seconds: -1 }],
    [{ name: 'x', expires_in_seconds: 1.5 }],
    [{ name: 'x', expires_in_seconds: 1e12 }],
  ])('%o is refused', async (request) => {
    await expect(auth.createToken(ADMIN, request)).rejects.toMatchObject(code('invalid_argument'))
  })

  test('nobody has more than a hundred', async () => {
    for (let i = 0; i < 100; i++) await auth.createToken(ADMIN, { name: `${i}` })
    await expect(auth.createToken(ADMIN, { name: 'more' })).rejects.toMatchObject(code('conflict'))
  })
})

describe('an agent credential', () => {
  async function sessionOf(actor_id: string, fields = {}) {
    const made = session({ owner: { tenant_id: 'default', actor_id }, ...fields })
    await store.sessions.insert(made)
    return made.id
  }

  test("is one session's, and no user", async () => {
    const caller = await alice()
    const id = await sessionOf('alice')
    const { token, expires_at } = await auth.mintSessionToken(caller, id, 600)
    expect(token).toMatch(/^clsa_[\w-]{43}$/)
    expect(expires_at).toBe(new Date(now + 600_000).toISOString())
    const agent = await auth.authenticate(token)
    expect(agent).toEqual({ kind: 'mcp', tenant_id: 'default', actor_id: 'alice', session_id: id })
    expect((await auth.listTokens(caller, FIRST_PAGE)).items).toEqual([])
    now += 600_000
    await expect(auth.authenticate(token)).rejects.toMatchObject(code('unauthorized'))
    return agent
  })

  test('can make no credential, see no token and administer nothing', async () => {
    await alice()
    const id = await sessionOf('alice')
    const agent: Caller = { kind: 'mcp', tenant_id: 'default', actor_id: 'admin', session_id: id }
    const other = await sessionOf('alice')
    for (const attempt of [
      () => auth.mintSessionToken(agent, id, 60),
      () => auth.createToken(agent, { name: 'x' }),
      () => auth.listTokens(agent, FIRST_PAGE),
      () => auth.revokeToken(agent, 'tok_1'),
      () => auth.listUsers(agent, FIRST_PAGE),
      () => auth.deleteUser(agent, 'alice'),
    ])
      await expect(attempt()).rejects.toMatchObject(code('permission_denied'))
    await expect(auth.mintSessionToken(agent, other, 60)).rejects.toMatchObject(code('not_found'))
  })

  test("is made by the session's owner or an admin, for a session that is there", async () => {
    const caller = await alice()
    const [mine, theirs, gone] = [
      await sessionOf('alice'),
      await sessionOf('bob'),
      await sessionOf('alice', { state: 'deleted' }),
    ]
    await auth.mintSessionToken(caller, mine, 60)
    await auth.mintSessionToken(ADMIN, theirs, 60)
    for (const id of [theirs, gone, 'ses_none', '../x'])
      await expect(auth.mintSessionToken(caller, id, 60)).rejects.toMatchObject(code('not_found'))
    for (const ttl of [0, -1, 0.5, Number.NaN, 1e9])
      await expect(auth.mintSessionToken(caller, mine, ttl)).rejects.toMatchObject(code('invalid_argument'))
  })

  test("ends with the session, with its maker's account and with its maker's rights", async () => {
    const caller = await alice({ roles: ['admin'] })
    const [mine, theirs] = [await sessionOf('alice'), await sessionOf('bob')]
    const own = (await auth.mintSessionToken(caller, mine, 600)).token
    const foreign = (await auth.mintSessionToken(caller, theirs, 600)).token
    await auth.authenticate(foreign)
    await auth.updateUser(ADMIN, 'alice', { roles: ['user'] })
    await expect(auth.authenticate(foreign)).rejects.toMatchObject(code('unauthorized'))
    await auth.authenticate(own)
    await auth.updateUser(ADMIN, 'alice', { active: false })
    await expect(auth.authenticate(own)).rejects.toMatchObject(code('unauthorized'))
    await auth.updateUser(ADMIN, 'alice', { active: true })
    await auth.authenticate(own)
    await store.sessions.update(mine, { state: 'deleted' })
    await expect(auth.authenticate(own)).rejects.toMatchObject(code('unauthorized'))
  })

  test("does not outlive the session's expiry", async () => {
    const id = await sessionOf('admin', { expires_at: new Date(now + 30_000).toISOString() })
    expect((await auth.mintSessionToken(ADMIN, id, 600)).expires_at).toBe(new Date(now + 30_000).toISOString())
  })

  test('of somebody who is no user of ours is good only where principals come from outside', async () => {
    const id = await sessionOf('guest')
    const guest: Caller = { kind: 'user', tenant_id: 'default', actor_id: 'guest', admin: false, tool_roles: [] }
    const { token } = await auth.mintSessionToken(guest, id, 60)
    await expect(auth.authenticate(token)).rejects.toMatchObject(code('unauthorized'))
    expect(await service({ externalPrincipals: true }).authenticate(token)).toMatchObject({ kind: 'mcp', session_id: id })
  })

  test('a value of one kind is not good as the other', async () => {
    const id = await sessionOf('admin')
    const { token } = await auth.mintSessionToken(ADMIN, id, 60)
    const { value } = await auth.createToken(ADMIN, { name: 'ci' })
    for (const mixed of [token.replace('clsa_', 'clst_'), value.replace('clst_', 'clsa_')])
      await expect(auth.authenticate(mixed)).rejects.toMatchObject(code('unauthorized'))
  })

  test('never becomes a user, also if its value looked like an API token', async () => {
    const [bound, free] = [`clst_${'b'.repeat(43)}`, `clsa_${'f'.repeat(43)}`]
    const row = {
      name: 'x',
      prefix: 'x',
      owner: { tenant_id: 'default', actor_id: 'admin' },
      created_at: '',
      expires_at: null,
      last_used_at: null,
    }
    await store.apiTokens.insert({ ...row, id: 'tok_1', hash: sha256(bound), session_id: await sessionOf('admin') })
    await store.apiTokens.insert({ ...row, id: 'tok_2', hash: sha256(free), session_id: null })
    for (const value of [bound, free]) await expect(auth.authenticate(value)).rejects.toMatchObject(code('unauthorized'))
  })
})

describe('administration', () => {
  test('is for admins: everybody else is refused, whatever they ask', async () => {
    const caller = await alice()
    for (const attempt of [
      () => auth.listUsers(caller, FIRST_PAGE),
      () => auth.getUser(caller, 'alice'),
      () => auth.getUser(caller, 'nobody'),
      () => auth.createUser(caller, { name: 'eve', password: PASSWORD }),
      () => auth.updateUser(caller, 'alice', { roles: ['admin'], tool_roles: ['platform_admin'] }),
      () => auth.deleteUser(caller, 'admin'),
      () => auth.listRoleBindings(caller, FIRST_PAGE),
      () => auth.createRoleBinding(caller, { principal: 'default/alice', role_name: 'admin' }),
      () => auth.deleteRoleBinding(caller, 'default/admin', 'admin'),
    ])
      await expect(attempt()).rejects.toMatchObject(code('permission_denied'))
    expect((await auth.listUsers(ADMIN, FIRST_PAGE)).items).toHaveLength(2)
    expect((await auth.listRoleBindings(ADMIN, FIRST_PAGE)).items).toEqual([
      expect.objectContaining({ principal: 'default/admin', role_name: 'admin' }),
      expect.objectContaining({ principal: 'default/alice', role_name: 'user' }),
    ])
  })

  test('makes, shows, changes and deletes users', async () => {
    const made = await auth.createUser(ADMIN, { name: 'bob', password: PASSWORD, tool_roles: ['devops', 'devops'] })
    const expected = {
      name: 'bob',
      tenant_id: 'default',
      roles: ['user'],
      tool_roles: ['devops'],
      active: true,
      created_at: new Date(now).toISOString(),
      last_login_at: null,
    }
    expect(made).toEqual(expected)
    expect(await auth.getUser(ADMIN, 'bob')).toEqual(expected)
    expect((await auth.listUsers(ADMIN, FIRST_PAGE)).items).toContainEqual(expected)
    await expect(auth.createUser(ADMIN, { name: 'bob', password: PASSWORD })).rejects.toMatchObject(code('conflict'))
    expect(await auth.updateUser(ADMIN, 'bob', {})).toEqual(expected)
    expect(await auth.updateUser(ADMIN, 'bob', { roles: ['admin', 'user'], active: false })).toEqual({
      ...expected,
      roles: ['admin', 'user'],
      active: false,
    })
    await auth.deleteUser(ADMIN, 'bob')
    for (const attempt of [
      () => auth.getUser(ADMIN, 'bob'),
      () => auth.updateUser(ADMIN, 'bob', { active: true }),
      () => auth.updateUser(ADMIN, 'bob', { roles: ['admin'] }),
      () => auth.deleteUser(ADMIN, 'bob'),
      () => auth.getUser(ADMIN, 'admin', 'acme'),
    ])
      await expect(attempt()).rejects.toMatchObject(code('not_found'))
    expect(await store.roleBindings.of('default/bob')).toEqual([])
  })

  test.each([
    [{ name: 'Bob' }],
    [{ name: '' }],
    [{ name: '-bob' }],
    [{ name: 'b/b' }],
    [{ name: 'b'.repeat(65) }],
    [{ name: 'bob\n' }],
    [{ name: 'bob', tenant_id: 'a/b' }],
    [{ name: 'bob', tenant_id: '' }],
    [{ name: 'bob', password: '1234567' }],
    [{ name: 'bob', password: '🙂🙂🙂🙂' }],
    [{ name: 'bob', password: 'x'.repeat(1025) }],
    [{ name: 'bob', roles: [] }],
    [{ name: 'bob', roles: ['root'] }],
    [{ name: 'bob', tool_roles: ['everything'] }],
    [{ name: 'bob', roles: ['__proto__'] }],
  ])('refuses the user %o', async (request) => {
    await expect(auth.createUser(ADMIN, { password: PASSWORD, ...request })).rejects.toMatchObject(code('invalid_argument'))
    expect(await store.users.count()).toBe(1)
  })

  test.each(['12345678', '🙂'.repeat(8), 'x'.repeat(1024)])('takes the password %s', async (password) => {
    await auth.createUser(ADMIN, { name: 'bob', password })
    await auth.login('bob', password)
  })

  const DISARMING: Record<string, () => Promise<unknown>> = {
    deleted: () => auth.deleteUser(ADMIN, 'admin'),
    demoted: () => auth.updateUser(ADMIN, 'admin', { roles: ['user'], password: 'new password' }),
    deactivated: () => auth.updateUser(ADMIN, 'admin', { active: false }),
    'demoted by its binding': () => auth.deleteRoleBinding(ADMIN, 'default/admin', 'admin'),
  }
  test.each(Object.keys(DISARMING))('the last active admin cannot be %s; with another one it can', async (how) => {
    const disarm = DISARMING[how] as () => Promise<unknown>
    await auth.createUser(ADMIN, { name: 'sleeper', password: PASSWORD, roles: ['admin'] })
    await auth.updateUser(ADMIN, 'sleeper', { active: false })
    const before = [await store.users.get('default', 'admin'), await store.roleBindings.list()]
    await expect(disarm()).rejects.toMatchObject(code('conflict'))
    expect([await store.users.get('default', 'admin'), await store.roleBindings.list()]).toEqual(before)
    await auth.updateUser(ADMIN, 'sleeper', { active: true })
    await disarm()
    await expect(auth.deleteUser(ADMIN, 'sleeper')).rejects.toMatchObject(code('conflict'))
  })

  test('two admins who delete each other at once: one stays', async () => {
    await auth.createUser(ADMIN, { name: 'second', password: PASSWORD, roles: ['admin'] })
    const results = await Promise.allSettled([auth.deleteUser(ADMIN, 'admin'), auth.deleteUser(ADMIN, 'second')])
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await store.users.count()).toBe(1)
  })

  test('binds roles to principals, again without error', async () => {
    const binding = { principal: 'acme/carol@example.org', role_name: 'admin' }
    const made = await auth.createRoleBinding(ADMIN, binding)
    expect(made).toEqual({ ...binding, created_at: new Date(now).toISOString() })
    now += 1000
    expect(await auth.createRoleBinding(ADMIN, binding)).toEqual(made)
    await auth.deleteRoleBinding(ADMIN, binding.principal, binding.role_name)
    await expect(auth.deleteRoleBinding(ADMIN, binding.principal, binding.role_name)).rejects.toMatchObject(code('not_found'))
    for (const principal of ['alice', 'a/b/c', '/b', 'a/', 'a b/c', ''])
      await expect(auth.createRoleBinding(ADMIN, { principal, role_name: 'user' })).rejects.toMatchObject(
        code('invalid_argument'),
      )
    await expect(auth.createRoleBinding(ADMIN, { principal: 'a/b', role_name: 'root' })).rejects.toMatchObject(
      code('invalid_argument'),
    )
  })

  test('a binding made before the user is not inherited', async () => {
    await auth.createRoleBinding(ADMIN, { principal: 'default/alice', role_name: 'admin' })
    expect(await alice()).toMatchObject({ admin: false })
  })
})

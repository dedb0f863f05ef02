import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { agentOf, alice, Gate, SECRET } from '../../../test/support/gate.ts'
import { FILE_LIMIT } from '../../domain/file-limit.ts'
import type { Invocation, InvocationRefused } from '../../domain/invocation.ts'
import type { Session } from '../../domain/session.ts'
import { CedarPolicySet } from '../../policy/cedar/cedar-policy-set.ts'
import { LayeredPolicyEngine } from '../../policy/layered-policy-engine.ts'
import { OpaPolicy } from '../../policy/opa-policy.ts'
import { RulePolicyEngine } from '../../policy/rule-policy-engine.ts'
import read from '../../tools/fs/read.ts'
import write from '../../tools/fs/write.ts'

/** Whatever a policy says about the arguments of `fs.write` and `fs.read` holds for raw files. */

const set = (text: string) =>
  new CedarPolicySet(
    [{ name: 'a.cedar', text: `@id("all") permit (principal, action, resource);\n${text}` }],
    [read.metadata, write.metadata],
  )
const forbid = (condition: string, tool = 'fs.write') =>
  `@id("no") forbid (principal, action == Action::"${tool}", resource) when { ${condition} };`
const NO_KEYS = forbid('context.args.content like "*PRIVATE KEY*"')
const KEY = '-----BEGIN PRIVATE KEY-----\nMIIE\n'
const BINARY = Buffer.concat([Buffer.from(KEY), Buffer.from([0xff])])

const owner = { tenant_id: 'default', actor_id: 'alice' }

const engine = new LayeredPolicyEngine({ rules: new RulePolicyEngine(), cedar: set(''), opa: null })
let gate: Gate
let session: Session
beforeAll(async () => {
  gate = await Gate.open({ dependencies: { policy: engine } })
})
afterAll(async () => await gate?.close())
beforeEach(async () => {
  session = await gate.session({ auto_approve: [{ pattern: 'fs.write', by: { ...owner, admin: true } }] })
})

/** Its record, refused or not. */
const upload = async (body: string | Buffer | Readable, path = 'k.pem', over = gate): Promise<Invocation> => {
  // An agent's credential opens this door too.
  const stream = body instanceof Readable ? body : Readable.from([Buffer.from(body)])
  return await over.files.upload(agentOf(session.id), session.id, path, false, stream).then(
    ({ invocation }) => invocation,
    (error: InvocationRefused) => {
      if (!error.invocation) throw error
      return error.invocation
    },
  )
}
const written = (path = 'k.pem') => (existsSync(gate.path(session, path)) ? readFileSync(gate.path(session, path)) : null)

/** So many bytes, with these at their end. */
const large = (end: string | Buffer, length = FILE_LIMIT + 1) => {
  const bytes = Buffer.from(end)
  return Buffer.concat([Buffer.alloc(length - bytes.length, 'x'), bytes])
}
const denied = (policies: string[], reason = expect.any(String)) => ({
  status: 'denied',
  decision: { effect: 'deny', rule: 'cedar', policies, reason },
})

describe('a policy about the content of fs.write', () => {
  beforeEach(() => engine.replacePolicies(set(NO_KEYS)))

  it('holds for an upload, in one piece and in many', async () => {
    expect((await gate.refusal(session, 'fs.write', { path: 'k.pem', content: KEY })).invocation).toMatchObject(denied(['no']))
    expect(await upload(KEY)).toMatchObject(denied(['no']))
    const pieces = Readable.from([...KEY].map((character) => Buffer.from(character)))
    expect(await upload(pieces)).toMatchObject(denied(['no']))
    expect(await upload(large(KEY, FILE_LIMIT))).toMatchObject(denied(['no']))
    expect(gate.sandboxes.current(session.id)).toBeNull()
    expect(written()).toBeNull()
  })

  it.each([
    ['a text', Buffer.from('\ufeffgrüße\r\n\0')],
    ['nothing', Buffer.alloc(0)],
    ['as much as is looked at', large('é', FILE_LIMIT)],
  ])('lets pass %s, byte by byte, and the record does not repeat it', async (_, body) => {
    const record = await upload(body, 'new/place.txt')
    expect(record).toMatchObject({
      status: 'succeeded',
      args: { path: 'new/place.txt', content: '[the body of the request]', create_parents: true },
    })
    expect(written('new/place.txt')?.equals(body)).toBe(true)
  })

  it.each([
    ['at its end', large(KEY)],
    ['nowhere', large('')],
    ['behind what comes first', Readable.from([large(''), Buffer.from(KEY)])],
  ])('refuses what is larger than it is shown, whether it holds a key %s', async (_, body) => {
    expect(await upload(body)).toMatchObject(denied([], expect.stringContaining('look at content, and cannot be shown')))
    expect(written()).toBeNull()
  })

  it('is not led past by bytes that are no text, as an upload or as base64', async () => {
    const reason = expect.stringContaining('look at content and not at encoding')
    expect(await upload(BINARY)).toMatchObject(denied([], reason))
    const args = { path: 'k.pem', content: Buffer.from(KEY).toString('base64'), encoding: 'base64' }
    expect((await gate.refusal(session, 'fs.write', args)).invocation).toMatchObject(denied([], reason))
    expect(written()).toBeNull()
  })

  it('that begins to hold while the body comes holds', async () => {
    engine.replacePolicies(set(''))
    const body = Readable.from(
      (function* () {
        engine.replacePolicies(set(NO_KEYS))
        yield large(KEY)
      })(),
    )
    expect(await upload(body)).toMatchObject(denied([]))
    expect(written()).toBeNull()
  })
})

describe('policies that say what holds for binary files', () => {
  const images = `${NO_KEYS} @id("no-binaries") forbid (principal, action == Action::"fs.write", resource) when { context.args.encoding == "base64" } unless { context.args.path like "*.png" };`
  beforeEach(() => engine.replacePolicies(set(images)))

  it('are asked about them', async () => {
    const picture = randomBytes(10_000)
    expect(await upload(picture, 'a.png')).toMatchObject({ status: 'succeeded' })
    expect(written('a.png')?.equals(picture)).toBe(true)
    expect(await upload(BINARY)).toMatchObject(denied(['no-binaries']))
    expect(await upload(KEY, 'a.png')).toMatchObject(denied(['no']))
    expect(readdirSync(gate.path(session))).toEqual(['a.png'])
  })

  it('which look at encoding alone do not see that of a large body', async () => {
    engine.replacePolicies(set(forbid('context.args.encoding == "base64"')))
    expect(await upload(large(''))).toMatchObject(denied([], expect.stringContaining('encoding')))
    expect(await upload(BINARY)).toMatchObject(denied(['no']))
  })
})

it('where no policy looks at the content, anything up to the limit of a file goes through', async () => {
  engine.replacePolicies(set(forbid('context.args.path like "secret/*"')))
  const body = large(BINARY, 3 * FILE_LIMIT)
  expect(await upload(body)).toMatchObject({ status: 'succeeded' })
  expect(written()?.equals(body)).toBe(true)
})

it('an upload says that it makes directories, a download that it reads as much as can be asked for', async () => {
  engine.replacePolicies(set(forbid('context.args.create_parents')))
  expect(await upload('x', 'new/a')).toMatchObject(denied(['no']))
  engine.replacePolicies(set(forbid('context.args.max_bytes > 100000', 'fs.read')))
  expect(await upload('x', 'a')).toMatchObject({ status: 'succeeded' })
  writeFileSync(gate.path(session, 'a'), 'x')
  const refused = await gate.files.download(alice, session.id, 'a').catch((error: InvocationRefused) => error.invocation)
  expect(refused).toMatchObject({ ...denied(['no']), args: { path: 'a', max_bytes: 1048576 } })
})

describe('a policy server', () => {
  const seen: { args: Record<string, unknown> }[] = []
  let server: Server
  let judged: Gate
  beforeAll(async () => {
    server = createServer(async (request, response) => {
      let text = ''
      for await (const chunk of request) text += chunk
      const { input } = JSON.parse(text)
      seen.push(input)
      response.end(JSON.stringify({ result: !String(input.args.content).includes('PRIVATE KEY') }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const opa = new OpaPolicy({ url, timeoutMs: 5000 })
    const layers = new LayeredPolicyEngine({ rules: new RulePolicyEngine(), cedar: set(''), opa })
    judged = await Gate.open({ dependencies: { policy: layers } })
  })
  afterAll(async () => {
    await judged?.close()
    server?.close()
  })
  beforeEach(async () => {
    session = await judged.session({ auto_approve: [{ pattern: 'fs.write', by: { ...owner, admin: true } }] })
    seen.length = 0
  })

  it('is shown what would be written, as fs.write would be given it', async () => {
    expect(await upload(KEY, 'k.pem', judged)).toMatchObject({ status: 'denied', decision: { rule: 'opa' } })
    expect(await upload('hola', 'a.txt', judged)).toMatchObject({ status: 'succeeded' })
    expect(await upload(BINARY, 'a.bin', judged)).toMatchObject({ status: 'succeeded' })
    expect(seen.map(({ args }) => args)).toEqual([
      { path: 'k.pem', content: KEY, encoding: 'utf8', create_parents: true },
      { path: 'a.txt', content: 'hola', encoding: 'utf8', create_parents: true },
      { path: 'a.bin', content: BINARY.toString('base64'), encoding: 'base64', create_parents: true },
    ])
    expect(readFileSync(judged.path(session, 'a.bin')).equals(BINARY)).toBe(true)
  })

  it.each([
    ['a text', SECRET],
    ['what is no text', Buffer.concat([Buffer.from([0xff]), Buffer.from(SECRET), Buffer.from([0xff])])],
  ])('is never shown a secret that stands in %s', async (_, body) => {
    expect(await upload(body, 'a', judged)).toMatchObject({
      status: 'failed',
      error: { code: 'invalid_argument' },
      decision: null,
    })
    expect(seen).toEqual([])
  })

  it('is not asked about what it could not be shown: that is refused', async () => {
    expect(await upload(large(KEY), 'k.pem', judged)).toMatchObject({
      status: 'denied',
      decision: { rule: 'opa', reason: expect.stringContaining('could not be shown content') },
    })
    expect(seen).toEqual([])
    expect(existsSync(judged.path(session, 'k.pem'))).toBe(false)
  })
})

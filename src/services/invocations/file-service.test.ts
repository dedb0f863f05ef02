import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { agentOf, alice, Gate, mallory, SECRET } from '../../../test/support/gate.ts'
import { sha256 } from '../../domain/canonical-json.ts'
import { InvocationRefused } from '../../domain/invocation.ts'
import type { Session } from '../../domain/session.ts'
import { RAW_FILE_LIMIT } from './file-service.ts'

let gate: Gate
beforeAll(async () => {
  gate = await Gate.open()
})
afterAll(async () => await gate?.close())

async function bytes(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Buffer))
  return Buffer.concat(chunks)
}

const download = async (session: Session, path: string) => {
  const { entry, stream } = await gate.files.download(alice, session.id, path)
  return { entry, content: await bytes(stream) }
}

const records = async (session: Session) =>
  (await gate.invocations.list(alice, session.id, {}, { limit: 10, cursor: null })).items

async function refusal(work: Promise<unknown>): Promise<InvocationRefused> {
  const answer = await work.catch((error: unknown) => error)
  if (answer instanceof InvocationRefused) return answer
  throw new Error(`not refused: ${String(answer)}`)
}

describe('raw files', () => {
  it('go in and out as they are, as recorded calls of fs.write and fs.read', async () => {
    const session = await gate.session()
    const content = randomBytes(3_000_000)
    const {
      path,
      bytes_written,
      sha256: digest,
      invocation,
    } = await gate.files.upload(alice, session.id, 'new/blob.bin', true, Readable.from([content]))
    expect({ path, bytes_written, digest }).toEqual({
      path: 'new/blob.bin',
      bytes_written: content.length,
      digest: sha256(content),
    })
    expect(readFileSync(gate.path(session, 'new/blob.bin')).equals(content)).toBe(true)
    expect(invocation).toMatchObject({
      tool_name: 'fs.write',
      status: 'succeeded',
      approval: { kind: 'given' },
      args: { path: 'new/blob.bin' },
    })
    const { entry, content: read } = await download(session, 'new/blob.bin')
    expect(entry).toMatchObject({ type: 'file', size_bytes: content.length })
    expect(read.equals(content)).toBe(true)
    expect((await records(session)).map(({ tool_name, status }) => [tool_name, status])).toEqual([
      ['fs.read', 'succeeded'],
      ['fs.write', 'succeeded'],
    ])
    const stored = JSON.stringify([await records(session), await gate.events(session)])
    expect(stored.length).toBeLessThan(20_000)
  })

  it('an empty file is a file', async () => {
    const session = await gate.session()
    await gate.files.upload(alice, session.id, 'empty', true, Readable.from([]))
    expect((await download(session, 'empty')).content).toHaveLength(0)
  })

  it('come out redacted, text or not', async () => {
    const session = await gate.session()
    await gate.invoke(session, 'fs.list')
    const noise = randomBytes(200_000)
    writeFileSync(gate.path(session, 'mixed'), Buffer.concat([noise, Buffer.from(SECRET), noise]))
    const { content } = await download(session, 'mixed')
    expect(content.equals(Buffer.concat([noise, Buffer.from('[secret:TOKEN]'), noise]))).toBe(true)
  })

  it.each([
    { what: 'a value', content: `x=${SECRET}` },
    { what: 'a placeholder', content: 'x=[secret:TOKEN]' },
  ])('do not go in with $what of a secret, also when it comes in pieces', async ({ content }) => {
    const session = await gate.session()
    const pieces = [...content].map((character) => Buffer.from(character))
    const refused = await refusal(gate.files.upload(alice, session.id, 'a.txt', true, Readable.from(pieces)))
    expect(refused).toMatchObject({ code: 'invalid_argument', status: 400, invocation: { status: 'failed' } })
    await nothingLeft(session)
    expect(JSON.stringify(refused.invocation)).not.toContain(SECRET)
    const named = await refusal(gate.files.upload(alice, session.id, content, true, Readable.from(['x'])))
    expect(named).toMatchObject({ code: 'invalid_argument', invocation: { args: { path: 'x=[secret:TOKEN]' } } })
    expect(gate.bytesOnDisk()).not.toContain(SECRET)
  })

  it('do not go in with a secret that is known only at their end', async () => {
    const session = await gate.session({}, 'swordfish\\')
    const upload = gate.files.upload(alice, session.id, 'x.txt', true, Readable.from([Buffer.from('x=swordfish\\')]))
    expect(await refusal(upload)).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('TOKEN') })
    expect(existsSync(gate.path(session, 'x.txt'))).toBe(false)
  })

  it('above the limit are refused, in and out', async () => {
    const session = await gate.session()
    const mebibyte = Buffer.alloc(1024 * 1024, 'x')
    const endless = Readable.from(
      (function* () {
        for (;;) yield mebibyte
      })(),
    )
    expect(await refusal(gate.files.upload(alice, session.id, 'big', true, endless))).toMatchObject({
      code: 'payload_too_large',
      status: 413,
    })
    await nothingLeft(session)
    writeFileSync(gate.path(session, 'large'), Buffer.alloc(RAW_FILE_LIMIT + 1))
    expect(await refusal(gate.files.download(alice, session.id, 'large'))).toMatchObject({ code: 'payload_too_large' })
  })

  it('need what the tools need', async () => {
    const session = await gate.session()
    await gate.invoke(session, 'fs.list')
    symlinkSync('/etc/hostname', gate.path(session, 'link'))
    const up = (path: string, approved: boolean, caller = alice as Parameters<typeof gate.files.upload>[0]) =>
      gate.files.upload(caller, session.id, path, approved, Readable.from(['x']))
    expect(await refusal(up('a.txt', false))).toMatchObject({ code: 'approval_required', status: 428 })
    expect(await refusal(up('a.txt', true, agentOf(session.id)))).toMatchObject({ code: 'approval_required' })
    expect(await refusal(up('../a.txt', true))).toMatchObject({ code: 'policy_denied', status: 403 })
    expect(await refusal(up('.git/config', true))).toMatchObject({ code: 'policy_denied' })
    expect(await refusal(up('/session/secrets/TOKEN', true))).toMatchObject({ code: 'policy_denied' })
    await expect(up('a.txt', true, mallory)).rejects.toMatchObject({ code: 'not_found' })
    expect(await refusal(gate.files.download(alice, session.id, '../../secrets/TOKEN'))).toMatchObject({ code: 'policy_denied' })
    expect(await refusal(gate.files.download(alice, session.id, 'link'))).toMatchObject({ code: 'policy_denied' })
    expect(await refusal(gate.files.download(alice, session.id, 'missing'))).toMatchObject({ code: 'not_found', status: 404 })
    expect(await refusal(gate.files.download(alice, session.id, '.'))).toMatchObject({ code: 'invalid_argument', status: 400 })
    await expect(gate.files.download(mallory, session.id, 'a.txt')).rejects.toMatchObject({ code: 'not_found' })
    expect(existsSync(gate.path(session, 'a.txt'))).toBe(false)
  })

  it('a body that breaks off leaves nothing behind', async () => {
    const session = await gate.session()
    await gate.invoke(session, 'fs.list')
    const broken = Readable.from(
      (function* () {
        yield Buffer.from('half')
        throw new Error('the client hung up')
      })(),
    )
    expect(await refusal(gate.files.upload(alice, session.id, 'a.txt', true, broken))).toMatchObject({ code: 'invalid_argument' })
    const hungUp = new Readable({ read: () => undefined })
    setTimeout(() => hungUp.destroy(), 50)
    expect(await refusal(gate.files.upload(alice, session.id, 'a.txt', true, hungUp))).toMatchObject({ code: 'invalid_argument' })
    // It is the client's fault, not the sandbox's.
    expect(gate.sandboxes.lostOnes).toEqual([])
    await nothingLeft(session)
    expect(await gate.store.openInvocations.ofSession(session.id)).toEqual([])
    expect((await gate.invoke(session, 'fs.list')).status).toBe('succeeded')
  })
})

/** Host takes its temporary file away as soon as it sees that no more comes. */
async function nothingLeft(session: Session): Promise<void> {
  while (readdirSync(gate.path(session)).some((name) => name.endsWith('.tmp')))
    await new Promise((resolve) => setTimeout(resolve, 10))
  expect(readdirSync(gate.path(session))).toEqual([])
}

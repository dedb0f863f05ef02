import { createHash, randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { agentOf, alice, Gate, mallory, SECRET } from '../../../test/support/gate.ts'
import { defineTool } from '../../catalog/define-tool.ts'
import { InvocationRefused } from '../../domain/invocation.ts'
import type { Session } from '../../domain/session.ts'
import download from '../../tools/artifact/download.ts'
import { WHOLE_ARTIFACT_LIMIT } from './artifact-service.ts'

/** Leaves so many bytes, or this text. */
const leave = defineTool({
  name: 'test.leave',
  description: 'A tool for tests.',
  input: z.object({ bytes: z.int().default(0), text: z.string().optional() }),
  output: z.object({}),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 20,
  errors: [],
  examples: [],
  handler: async ({ bytes, text }, { sandbox }) => {
    const printed = text === undefined ? null : (await sandbox.run(['sh', '-c', text])).stdout
    const artifact = { name: 'left.bin', content_type: 'application/octet-stream', content: printed ?? randomBytes(bytes) }
    return { output: {}, artifacts: [artifact] }
  },
})

let gate: Gate
let session: Session
beforeAll(async () => {
  gate = await Gate.open({ tools: [leave, download] })
  session = await gate.session()
})
afterAll(() => gate.close())

const left = async (args: { bytes?: number; text?: string }, of = session) => {
  const { id, artifacts } = await gate.invoke(of, 'test.leave', args)
  return { invocation_id: id, artifact: artifacts[0] as (typeof artifacts)[number] }
}
const reads = async () =>
  (await gate.invocations.list(alice, session.id, { tool: 'artifact.download' }, { limit: 200, cursor: null })).items

describe('a whole artifact', () => {
  test.each([0, 1, 196_432, 200_000, 262_145, 3_000_000, WHOLE_ARTIFACT_LIMIT])(
    'of %i bytes is given as it is, and recorded as artifact.download',
    async (bytes) => {
      const { artifact } = await left({ bytes })
      const stored = await gate.store.artifacts.ofSession(session.id, 1000)
      const read = await gate.artifacts.read(agentOf(session.id, 'mcp'), session.id, artifact.id)
      expect(read?.artifact).toEqual(artifact)
      expect(read?.content.length).toBe(bytes)
      expect(
        createHash('sha256')
          .update(read?.content as Buffer)
          .digest('hex'),
      ).toBe(artifact.sha256)
      const [record] = await reads()
      expect(record).toMatchObject({
        status: 'succeeded',
        actor: { kind: 'mcp', id: 'default/alice' },
        args: { artifact_id: artifact.id },
        decision: { rule: expect.any(String) },
        output: { artifact_id: artifact.id, size_bytes: bytes, sha256: artifact.sha256, truncated: false },
        output_ref: null,
      })
      // Reading leaves nothing behind.
      expect(await gate.store.artifacts.ofSession(session.id, 1000)).toEqual(stored)
    },
  )

  test('above the limit is refused, with the place where it is to be had, and recorded', async () => {
    const { artifact, invocation_id } = await left({ bytes: WHOLE_ARTIFACT_LIMIT + 1 })
    await expect(gate.artifacts.read(alice, session.id, artifact.id)).rejects.toMatchObject({
      code: 'payload_too_large',
      message: expect.stringContaining(`GET /v1/invocations/${invocation_id}/artifacts/${artifact.id}`),
    })
    expect((await reads())[0]).toMatchObject({ status: 'failed', error: { code: 'output_too_large' } })
  })

  test('holds no secret', async () => {
    const { artifact } = await left({ text: 'printf "the token is %s" "$TOKEN"' })
    const read = await gate.artifacts.read(alice, session.id, artifact.id)
    expect(read?.content.toString()).toBe('the token is [secret:TOKEN]')
    expect(read?.content.includes(SECRET)).toBe(false)
  })

  test('of another session, or whose bytes are gone, is none', async () => {
    const theirs = await left({ bytes: 3 }, await gate.session())
    expect(await gate.artifacts.read(alice, session.id, theirs.artifact.id)).toBeNull()
    const gone = await left({ bytes: 3 })
    rmSync(join(gate.home, 'artifacts', session.id), { recursive: true })
    expect(await gate.artifacts.read(alice, session.id, gone.artifact.id)).toBeNull()
  })

  test('is not given past the gate: who may not ask, tools that are denied, secrets in what is asked', async () => {
    const { artifact } = await left({ bytes: 3 })
    await expect(gate.artifacts.read(mallory, session.id, artifact.id)).rejects.toMatchObject({ code: 'not_found' })
    const strict = await gate.session({ tools: { allow: [], deny: ['artifact.download'] } })
    const kept = await left({ bytes: 3 }, strict)
    await expect(gate.artifacts.read(alice, strict.id, kept.artifact.id)).rejects.toMatchObject({ code: 'not_found' })
    await expect(gate.artifacts.read(alice, session.id, SECRET)).rejects.toBeInstanceOf(InvocationRefused)
  })
})

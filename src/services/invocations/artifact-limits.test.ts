import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agentOf, alice, FIRST_PAGE, Gate, SECRET } from '../../../test/support/gate.ts'
import { renderInvocation } from '../../agent/call-result.ts'
import { defineTool } from '../../catalog/define-tool.ts'
import { ToolError } from '../../domain/errors.ts'
import type { Session } from '../../domain/session.ts'
import upload from '../../tools/artifact/upload.ts'
import type { ArtifactLimits } from './artifact-keeper.ts'

/** A tool that leaves as much as it is told to: what a hostile sandbox makes of a harmless tool. */
const leaves = defineTool({
  name: 'test.leaves',
  description: 'A tool for tests.',
  input: z.object({ sizes: z.array(z.int()), text: z.string().default('x'), fails: z.boolean().default(false) }),
  output: z.object({ left: z.int() }),
  scope: 'workspace',
  side_effects: 'reversible',
  risk_level: 'low',
  requires_approval: false,
  timeout_seconds: 5,
  errors: [],
  examples: [],
  async handler({ sizes, text, fails }) {
    const artifacts = sizes.map((size, n) => ({ name: `${n}.txt`, content_type: 'text/plain', content: text.repeat(size) }))
    if (fails) throw new ToolError('tests_failed', 'two tests failed', { output: { left: sizes.length }, artifacts })
    return { output: { left: sizes.length }, artifacts }
  },
})

/** Returns so many characters, in one field. */
const says = defineTool({
  name: 'test.says',
  description: 'A tool for tests.',
  input: z.object({ characters: z.int() }),
  output: z.object({ text: z.string() }),
  scope: 'workspace',
  side_effects: 'none',
  risk_level: 'low',
  requires_approval: false,
  errors: [],
  timeout_seconds: 5,
  examples: [],
  async handler({ characters }) {
    return { output: { text: `${SECRET}${'x'.repeat(characters)}` } }
  },
})

let gate: Gate
afterEach(() => gate?.close())

async function opened(limits: Partial<ArtifactLimits>): Promise<Session> {
  const artifactLimits = { perInvocation: 32, bytesEach: 0, bytesPerSession: 0, ...limits }
  gate = await Gate.open({ tools: [leaves, upload, says], dependencies: { artifactLimits } })
  return gate.session()
}

const stored = (session: Session) => gate.store.artifacts.bytesOfSession(session.id)

describe('an output that is longer than what a model is shown', () => {
  const agentsCall = (session: Session, characters: number) =>
    gate.invoke(session, 'test.says', { characters }, { caller: agentOf(session.id), turn_id: 'trn_1' })

  it('is kept whole, without secrets, when an agent called in its turn: the record has it whole too', async () => {
    const session = await opened({})
    const record = await agentsCall(session, 40_000)
    expect(record).toMatchObject({ status: 'succeeded', truncated: false, output: { text: expect.stringMatching(/x{40000}$/) } })
    expect(record.artifacts).toMatchObject([{ id: record.output_ref, name: 'output.json' }])
    const { open } = await gate.invocations.artifact(alice, record.id, record.output_ref ?? '')
    expect(await text(await open())).toBe(JSON.stringify(record.output))
    expect(JSON.stringify(record.output)).not.toContain(SECRET)
    expect(renderInvocation(record).text).toContain(`artifact ${record.output_ref}`)
  })

  it.each([31_000, 31_400, 31_600, 31_800, 31_950, 32_000])(
    'is known before: of %i characters none is shown cut without one',
    async (characters) => {
      const record = await agentsCall(await opened({}), characters)
      expect(record.output_ref === null && renderInvocation(record).text.includes('left out')).toBe(false)
    },
  )

  it('is not kept for others, nor when it is short', async () => {
    const session = await opened({})
    expect(await gate.invoke(session, 'test.says', { characters: 40_000 })).toMatchObject({ output_ref: null, artifacts: [] })
    expect(await agentsCall(session, 10_000)).toMatchObject({ output_ref: null, artifacts: [] })
  })

  it('is no reason to fail when there is no room for a copy', async () => {
    const session = await opened({ bytesPerSession: 1000 })
    expect(await agentsCall(session, 40_000)).toMatchObject({ status: 'succeeded', error: null, output_ref: null })
  })
})

describe('artifacts of a call', () => {
  it('are as many as may be: what came before is kept, with the output', async () => {
    const session = await opened({ perInvocation: 3 })
    const within = await gate.invoke(session, 'test.leaves', { sizes: [1, 1, 1] })
    expect([within.status, within.artifacts.length]).toEqual(['succeeded', 3])
    const record = await gate.invoke(session, 'test.leaves', { sizes: [1, 2, 3, 4, 5] })
    expect(record).toMatchObject({ status: 'failed', output: { left: 5 }, error: { code: 'output_too_large', retryable: false } })
    expect(record.error?.message).toMatch(/^3 artifacts of a call are kept, and it left 5/)
    expect(record.artifacts.map(({ size_bytes }) => size_bytes)).toEqual([1, 2, 3])
    expect((await gate.invocations.artifacts(alice, record.id, FIRST_PAGE)).items).toEqual(record.artifacts)
  })

  it('are each as large as may be, secrets taken out', async () => {
    const session = await opened({ bytesEach: 100 })
    expect(await gate.invoke(session, 'test.leaves', { sizes: [100] })).toMatchObject({ status: 'succeeded' })
    const record = await gate.invoke(session, 'test.leaves', { sizes: [50, 101, 10] })
    expect(record).toMatchObject({ status: 'failed', error: { code: 'output_too_large' } })
    expect(record.error?.message).toContain('the artifact 1.txt has 101 bytes, and one may have 100')
    expect(record.artifacts.map(({ size_bytes }) => size_bytes)).toEqual([50])
    expect(await stored(session)).toBe(150)
  })

  it('of a tool that failed anyway do not hide why it failed', async () => {
    const session = await opened({ bytesEach: 10 })
    const record = await gate.invoke(session, 'test.leaves', { sizes: [5, 11], fails: true })
    expect(record).toMatchObject({ status: 'failed', error: { code: 'tests_failed' }, output: { left: 2 } })
    expect(record.error?.message).toMatch(/^two tests failed \(the artifact 1\.txt has 11 bytes/)
    expect(record.artifacts).toHaveLength(1)
  })

  it('include files that are uploaded', async () => {
    const session = await opened({ bytesEach: 1000 })
    await gate.invoke(session, 'fs.write', { path: 'a.bin', content: 'x'.repeat(1001) }, { approved: true })
    const record = await gate.invoke(session, 'artifact.upload', { path: 'a.bin' })
    expect(record).toMatchObject({ status: 'failed', error: { code: 'output_too_large' }, artifacts: [] })
    expect(await stored(session)).toBe(0)
  })
})

describe('artifacts of a session', () => {
  it('are together as large as may be, whichever call left them; another session has its own', async () => {
    const session = await opened({ bytesPerSession: 1000 })
    expect((await gate.invoke(session, 'test.leaves', { sizes: [400, 400] })).status).toBe('succeeded')
    const record = await gate.invoke(session, 'test.leaves', { sizes: [150, 100, 50] })
    expect(record).toMatchObject({ status: 'failed', error: { code: 'output_too_large' } })
    expect(record.artifacts.map(({ size_bytes }) => size_bytes)).toEqual([150])
    expect(await stored(session)).toBe(950)
    expect((await gate.invoke(session, 'test.leaves', { sizes: [50] })).status).toBe('succeeded')
    expect((await gate.invoke(await gate.session(), 'test.leaves', { sizes: [1000] })).status).toBe('succeeded')
  })

  it('cannot be more by many calls at once', async () => {
    const session = await opened({ bytesPerSession: 1000 })
    const records = await Promise.all(
      Array.from({ length: 8 }, () => gate.invoke(session, 'test.leaves', { sizes: [130, 130, 130] })),
    )
    expect(await stored(session)).toBeLessThanOrEqual(1000)
    const kept = records.flatMap(({ artifacts }) => artifacts)
    expect(kept.reduce((sum, { size_bytes }) => sum + size_bytes, 0)).toBe(await stored(session))
    expect(records.filter(({ status }) => status === 'failed').length).toBeGreaterThan(5)
    // Nothing stays reserved: what is left can be used.
    const left = 1000 - (await stored(session))
    expect((await gate.invoke(session, 'test.leaves', { sizes: [left] })).status).toBe('succeeded')
  })

  it('include what the gate keeps of long outputs and logs', async () => {
    const session = await opened({ bytesPerSession: 500 })
    const record = await gate.invoke(session, 'test.loud')
    expect(record).toMatchObject({ status: 'failed', truncated: true, output_ref: null, error: { code: 'output_too_large' } })
    expect(record.output?.['stdout']).toMatch(/^line 0 of text/)
    expect(await stored(session)).toBe(0)
  })

  it('is not told about secrets by what it says', async () => {
    const session = await opened({ bytesEach: 5 })
    const record = await gate.invoke(session, 'test.leak')
    expect(record.error?.code).toBe('output_too_large')
    expect(JSON.stringify(record)).not.toContain(SECRET)
  })
})

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type SampleApp, sampleApp } from '../../../test/http/sample-app.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

let sample: SampleApp
beforeAll(async () => {
  sample = await sampleApp()
})
afterAll(() => sample.close())

/** The lines that a request left. */
async function lines(url: string, headers: Record<string, string> = {}, payload?: object): Promise<Record<string, unknown>[]> {
  sample.log.length = 0
  const method = payload ? 'POST' : 'GET'
  await sample.app.inject({ method, url, headers: { authorization: sample.alice, ...headers }, ...(payload && { payload }) })
  return sample.log.map((line) => JSON.parse(line))
}

it('every line of a request has its trace id, once, and two requests have two', async () => {
  const [first] = await lines('/v1/sessions')
  const [second] = await lines('/v1/sessions')
  expect(first?.['trace_id']).toMatch(/^[0-9a-f]{32}$/)
  expect(second?.['trace_id']).not.toBe(first?.['trace_id'])
  for (const line of sample.log) expect(line.split('"trace_id"')).toHaveLength(2)
})

it("is the caller's, if it sent one that is well formed", async () => {
  const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`
  expect((await lines('/v1/sessions', { traceparent }))[0]?.['trace_id']).toBe(TRACE)
  expect((await lines('/healthz', { traceparent }))[0]?.['trace_id']).toBe(TRACE)
  expect((await lines('/v1/sessions', { traceparent: `00-${TRACE}-junk` }))[0]?.['trace_id']).not.toBe(TRACE)
})

it('is on what a service logs deep inside, also after a body was read', async () => {
  const created = sample.services.sessions.create
  sample.services.sessions.create = async (...args) => {
    await new Promise((resolve) => setTimeout(resolve, 1))
    sample.deps.logger.warn('deep inside')
    return created(...args)
  }
  const seen = await lines('/v1/sessions', { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` }, { name: 'x'.repeat(100) })
  expect(seen.find(({ msg }) => msg === 'deep inside')).toMatchObject({ trace_id: TRACE })
})

it('is on the lines of a refusal, and of what no route answers', async () => {
  for (const url of ['/v1/nothing', '/v1/sessions?limit=x', '/v1/sessions/none'])
    for (const line of await lines(url, { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` }))
      expect(line).toMatchObject({ trace_id: TRACE })
})

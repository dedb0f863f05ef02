import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CollectedSpan, startCollector } from '../../test/support/otlp-collector.ts'
import { errors } from '../domain/errors.ts'
import { startTracing } from './start-tracing.ts'
import { activeTraceId, contextFromTraceparent, contextOf, inSpan } from './tracing.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

describe('traceparent', () => {
  it.each([
    [`00-${TRACE}-${SPAN}-01`, true],
    [` 00-${TRACE}-${SPAN}-00 `, true],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-adds`, true],
    [`00-${TRACE}-${SPAN}-01-more`, false],
    [`ff-${TRACE}-${SPAN}-01`, false],
    [`00-${'0'.repeat(32)}-${SPAN}-01`, false],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, false],
    [`00-${TRACE.toUpperCase()}-${SPAN}-01`, false],
    [`00-${TRACE}-${SPAN}`, false],
    [`00-${TRACE}-${SPAN}-01\nx`, false],
    ['', false],
    [undefined, false],
    [[`00-${TRACE}-${SPAN}-01`], false],
  ])('%j can be used: %s', (header, usable) => {
    const parent = contextFromTraceparent(header)
    if (usable) expect(trace.getSpanContext(parent ?? ROOT_CONTEXT)).toMatchObject({ traceId: TRACE, spanId: SPAN })
    else expect(parent).toBeNull()
  })
})

describe('without a collector', () => {
  it('a trace id is there all the same, follows what is awaited, and is no other work`s', async () => {
    expect(activeTraceId()).toBeNull()
    const ids = await Promise.all(
      [1, 2].map(() =>
        inSpan('outer', {}, async () => {
          const outer = activeTraceId()
          await new Promise((resolve) => setTimeout(resolve, 1))
          return [outer, activeTraceId(), await inSpan('inner', {}, async () => activeTraceId())]
        }),
      ),
    )
    for (const [outer, later, inner] of ids) {
      expect(outer).toMatch(/^[0-9a-f]{32}$/)
      expect([later, inner]).toEqual([outer, outer])
    }
    expect(ids[0]?.[0]).not.toBe(ids[1]?.[0])
    expect(activeTraceId()).toBeNull()
  })

  it('takes up the trace of a record', async () => {
    const record = { trace_id: TRACE, id: 'inv_1' }
    expect(await inSpan('resumed', { parent: contextOf(record) }, async () => activeTraceId())).toBe(TRACE)
    await inSpan('now', {}, async () => {
      const now = { trace_id: activeTraceId() ?? '', id: 'inv_1' }
      expect(contextOf(now)).toBe(context.active())
      expect(contextOf(record)).not.toBe(context.active())
    })
  })

  it('what fails fails as it did', async () => {
    const error = new Error('as it was')
    await expect(inSpan('fails', {}, () => Promise.reject(error))).rejects.toBe(error)
  })
})

describe('with a collector', () => {
  let collector: Awaited<ReturnType<typeof startCollector>>
  beforeAll(async () => {
    collector = await startCollector()
  })
  afterAll(() => collector.close())

  it('spans are sent when it ends, at the latest, and say nothing but codes of errors', async () => {
    const tracing = await startTracing({ endpoint: `${collector.url}/`, version: '1.2.3' })
    const parent = contextFromTraceparent(`00-${TRACE}-${SPAN}-01`) as typeof ROOT_CONTEXT
    await inSpan('outer', { parent, attributes: { a: 1 }, tracer: 'tools' }, async () => {
      await inSpan('inner', {}, () => Promise.reject(errors.policyDenied('r', 'hunter2'))).catch(() => undefined)
    })
    const unsampled = contextFromTraceparent(`00-${TRACE}-${SPAN}-00`) as typeof ROOT_CONTEXT
    await inSpan('not wanted', { parent: unsampled }, async () => expect(activeTraceId()).toBe(TRACE))
    await tracing.stop()
    const [inner, outer] = ['inner', 'outer'].map((name) => collector.spans.find((span) => span.name === name)) as CollectedSpan[]
    expect(outer).toMatchObject({
      trace_id: TRACE,
      parent_span_id: SPAN,
      attributes: { a: 1 },
      tracer: 'tools',
      service: 'cloister',
    })
    expect(inner).toMatchObject({
      trace_id: TRACE,
      parent_span_id: outer?.span_id,
      attributes: { 'error.type': 'policy_denied' },
      status: 2,
      tracer: 'cloister',
    })
    expect(collector.spans).toHaveLength(2)
    expect(collector.requests.map(({ path }) => path)).toEqual(['/v1/traces'])
    expect(JSON.stringify(collector.requests)).not.toContain('hunter2')
  })

  it('one that is away holds up nothing', async () => {
    const tracing = await startTracing({ endpoint: 'http://127.0.0.1:1', version: '1.2.3' })
    expect(await inSpan('lost', {}, async () => 'done')).toBe('done')
    await tracing.stop()
  })
})

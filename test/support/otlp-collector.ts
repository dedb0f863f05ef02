import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface CollectedSpan {
  trace_id: string
  span_id: string
  parent_span_id: string | null
  name: string
  kind: number
  tracer: string
  service: string
  attributes: Record<string, unknown>
  /** 2: error. */
  status: number
}

/** What OTLP's JSON has where it has a value. */
interface AnyValue {
  stringValue?: string
  intValue?: string | number
  boolValue?: boolean
  doubleValue?: number
  arrayValue?: { values: AnyValue[] }
}

/** A collector on loopback that takes OTLP over HTTP, as JSON. */
export async function startCollector() {
  const spans: CollectedSpan[] = []
  const requests: { path: string; body: string }[] = []
  const server = createServer(async (request, response) => {
    const body = (await buffer(request)).toString('utf8')
    requests.push({ path: request.url ?? '', body })
    if (!request.headers['content-type']?.includes('json')) {
      response.writeHead(415).end()
      return
    }
    spans.push(...decode(JSON.parse(body)))
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the wire format, looked at field by field
function decode(request: any): CollectedSpan[] {
  const spans: CollectedSpan[] = []
  for (const { resource, scopeSpans } of request.resourceSpans)
    for (const { scope, spans: given } of scopeSpans)
      for (const span of given)
        spans.push({
          trace_id: span.traceId,
          span_id: span.spanId,
          parent_span_id: span.parentSpanId || null,
          name: span.name,
          kind: span.kind,
          tracer: scope.name,
          service: String(attributesOf(resource.attributes)['service.name']),
          attributes: attributesOf(span.attributes),
          status: span.status?.code ?? 0,
        })
  return spans
}

function attributesOf(given: { key: string; value: AnyValue }[]): Record<string, unknown> {
  return Object.fromEntries(given.map(({ key, value }) => [key, plain(value)]))
}

function plain({ stringValue, intValue, boolValue, doubleValue, arrayValue }: AnyValue): unknown {
  if (arrayValue) return arrayValue.values.map(plain)
  return stringValue ?? boolValue ?? doubleValue ?? (intValue === undefined ? undefined : Number(intValue))
}

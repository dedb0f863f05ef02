import { randomBytes } from 'node:crypto'
import { type Context, context, ROOT_CONTEXT, type Span, SpanKind, TraceFlags, trace } from '@opentelemetry/api'
import { contextFromTraceparent, failed, startSpan } from '../../telemetry/tracing.ts'
import type { App } from '../app-type.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The request's span, and the context in which its work runs. Null for what failed before it was a request. */
    tracing: { span: Span; scope: Context } | null
  }
}

/**
 * A span for each request, beneath the caller's `traceparent` if it sent one; its trace id is on every log line of the request.
 * What is asked by probes all day (health, metrics) gets an id and no span.
 */
export function tracing(app: App): void {
  app.decorateRequest('tracing', null)
  app.addHook('onRequest', (request, reply, done) => {
    const route = request.is404 ? 'unknown' : (request.routeOptions.url ?? 'unknown')
    const caller = contextFromTraceparent(request.headers.traceparent) ?? ROOT_CONTEXT
    const probe = request.method === 'GET' && request.routeOptions.config.public === true
    const begun = startSpan(`${request.method} ${route}`, {
      kind: SpanKind.SERVER,
      parent: probe ? unsampled(caller) : caller,
      attributes: { 'http.request.method': request.method, 'http.route': route, 'cloister.request_id': request.id },
    })
    request.tracing = begun
    request.log = request.log.child({ trace_id: begun.span.spanContext().traceId })
    reply.log = request.log
    context.with(begun.scope, done)
  })
  // A body comes in on the connection's own callbacks, which know nothing of the request.
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.tracing) context.with(request.tracing.scope, done)
    else done()
  })
  app.addHook('onResponse', async (request, reply) => {
    const span = request.tracing?.span
    if (!span) return
    span.setAttribute('http.response.status_code', reply.statusCode)
    if (reply.statusCode >= 500) failed(span, String(reply.statusCode))
    span.end()
  })
}

/** A parent that says: do not record. One that the caller sent keeps its ids. */
function unsampled(parent: Context): Context {
  const ids = trace.getSpanContext(parent) ?? { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex') }
  return trace.setSpanContext(ROOT_CONTEXT, { ...ids, traceFlags: TraceFlags.NONE, isRemote: true })
}

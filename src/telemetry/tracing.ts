import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash, randomBytes } from 'node:crypto'
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { CloisterError, ToolError } from '../domain/errors.ts'

/** The context follows promises and callbacks: without it a span would not know what it is part of. */
class AsyncContextManager implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>()

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT
  }

  with<Args extends unknown[], Work extends (...args: Args) => ReturnType<Work>>(
    scope: Context,
    work: Work,
    self?: ThisParameterType<Work>,
    ...args: Args
  ): ReturnType<Work> {
    return this.#storage.run(scope, () => work.apply(self, args))
  }

  bind<Target>(scope: Context, target: Target): Target {
    if (typeof target !== 'function') return target
    return ((...args: unknown[]) => this.#storage.run(scope, () => target(...args))) as Target
  }

  enable(): this {
    return this
  }

  disable(): this {
    this.#storage.disable()
    return this
  }
}

context.setGlobalContextManager(new AsyncContextManager())

export interface SpanOptions {
  /** Names the part of the program, or of a tool; default `cloister`. */
  tracer?: string
  kind?: SpanKind
  /** Ids, names and numbers: never arguments, outputs, prompts, messages of errors. */
  attributes?: Attributes
  /** Default: what runs now. */
  parent?: Context
}

/**
 * Begins a span, and gives the context in which its work is to run. When nothing is exported it does nothing but carry a trace id,
 * a new one if its parent has none. Whoever calls ends the span.
 */
export function startSpan(name: string, { tracer = 'cloister', kind, attributes, parent }: SpanOptions) {
  const above = parent ?? context.active()
  const options = { kind: kind ?? SpanKind.INTERNAL, ...(attributes && { attributes }) }
  let span = trace.getTracer(tracer).startSpan(name, options, above)
  if (!isSpanContextValid(span.spanContext()))
    span = trace.wrapSpanContext({ traceId: randomHex(16), spanId: randomHex(8), traceFlags: TraceFlags.NONE })
  return { span, scope: trace.setSpan(above, span) }
}

/** Runs `work` in a span of its own. Of an error the span says its code, not its message. */
export async function inSpan<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
  const { span, scope } = startSpan(name, options)
  try {
    return await context.with(scope, () => work(span))
  } catch (error) {
    failed(span, codeOf(error))
    throw error
  } finally {
    span.end()
  }
}

/** @param type a code of few values */
export function failed(span: Span, type: string): void {
  span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute('error.type', type)
}

/** 32 hex digits of the trace that runs now; null: none does. */
export function activeTraceId(): string | null {
  return trace.getSpanContext(context.active())?.traceId ?? null
}

/**
 * Where a call belongs by its record: what runs now if that is the same trace, else that trace, beneath a parent that nobody sent
 * (its span ended in another server, or with another request).
 */
export function contextOf({ trace_id, id }: { trace_id: string; id: string }): Context {
  if (activeTraceId() === trace_id) return context.active()
  const spanId = createHash('sha256').update(id).digest('hex').slice(0, 16)
  const spanContext = { traceId: trace_id, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true }
  return isSpanContextValid(spanContext) ? trace.setSpanContext(ROOT_CONTEXT, spanContext) : ROOT_CONTEXT
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** Of a `traceparent` header (W3C Trace Context, 2021-11-23, section 3.2). Null: there is none that can be used. */
export function contextFromTraceparent(header: string | string[] | undefined): Context | null {
  const [, version, traceId, spanId, flags, more] = (typeof header === 'string' && TRACEPARENT.exec(header.trim())) || []
  if (traceId === undefined || spanId === undefined || flags === undefined) return null
  if (version === 'ff' || (version === '00' && more !== undefined)) return null
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED
  const spanContext = { traceId, spanId, traceFlags, isRemote: true }
  return isSpanContextValid(spanContext) ? trace.setSpanContext(ROOT_CONTEXT, spanContext) : null
}

function codeOf(error: unknown): string {
  if (error instanceof CloisterError || error instanceof ToolError) return error.code
  return error instanceof Error ? error.name : 'unknown'
}

function randomHex(bytes: number): string {
  return randomBytes(bytes).toString('hex')
}

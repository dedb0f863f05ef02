import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Event } from '../domain/event.ts'

export interface MetricSources {
  openStreams: () => number
  countSessions: () => Promise<Record<string, number>>
  countConnectors: () => Record<string, number>
}

/** Seconds. Requests are short; calls and models take what they take; a sandbox should be there at once. */
const REQUEST_BUCKETS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const CALL_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800]
const SANDBOX_BUCKETS = [0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30]

/** A session may name any model: more than so many are counted as one. */
const MODELS = 50

/**
 * Everything that is measured, in one place: requests (told by the HTTP layer), states (asked at each scrape), and what happens in
 * sessions, which is heard from the log and so cannot differ from it. Labels are routes, tools, rules, models and kinds, of which
 * there are few; never ids, never what a sandbox wrote. `docs/metrics.md` is generated from this.
 */
export function makeMetrics(registry: Registry, sources: MetricSources) {
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name, help, labelNames, registers })
  const histogram = <Label extends string>(name: string, help: string, labelNames: readonly Label[], buckets: number[]) =>
    new Histogram({ name, help, labelNames, buckets, registers })

  const requests = counter('cloister_http_requests_total', 'HTTP requests answered.', ['method', 'route', 'status'])
  const requestDurations = histogram(
    'cloister_http_request_duration_seconds',
    'Time from a request to the end of its answer; event streams left out.',
    ['method', 'route'],
    REQUEST_BUCKETS,
  )
  new Gauge({
    name: 'cloister_event_streams',
    help: 'Open event streams.',
    registers,
    collect() {
      this.set(sources.openStreams())
    },
  })
  new Gauge({
    name: 'cloister_sessions',
    help: 'Sessions by state.',
    labelNames: ['state'] as const,
    registers,
    async collect() {
      for (const [state, count] of Object.entries(await sources.countSessions())) this.set({ state }, count)
    },
  })
  new Gauge({
    name: 'cloister_connectors',
    help: 'Connectors by state: reviewed; unreviewed; changed, whose tools are refused until they are reviewed again.',
    labelNames: ['state'] as const,
    registers,
    collect() {
      for (const [state, count] of Object.entries(sources.countConnectors())) this.set({ state }, count)
    },
  })
  const invocations = counter('cloister_invocations_total', 'Invocations that ended, by tool and status.', ['tool', 'status'])
  const durations = histogram(
    'cloister_invocation_duration_seconds',
    'Time that a tool ran; refused calls left out.',
    ['tool'],
    CALL_BUCKETS,
  )
  const failures = counter('cloister_invocation_failures_total', 'Invocations that failed, by tool and error code.', [
    'tool',
    'code',
  ])
  const denials = counter(
    'cloister_invocation_denials_total',
    'Invocations that were refused, by tool and by the rule that refused (or the error code, where it was none).',
    ['tool', 'rule'],
  )
  const approvals = counter('cloister_approvals_total', 'Approvals by what became of them: requested, approved, denied, ...', [
    'outcome',
  ])
  const sandboxStarts = histogram(
    'cloister_sandbox_start_duration_seconds',
    'Time from the decision to start a sandbox until it answers, without setup.',
    ['kind', 'purpose'],
    SANDBOX_BUCKETS,
  )
  const sandboxEnds = counter('cloister_sandbox_ends_total', 'Sandboxes that ended: stopped by us, or lost.', ['kind', 'how'])
  const turns = counter('cloister_turns_total', 'Turns of agents that ended, by how.', ['outcome'])
  const modelCalls = counter('cloister_model_calls_total', 'Calls of models, by outcome: ok, or the kind of failure.', [
    'model',
    'outcome',
  ])
  const modelDurations = histogram(
    'cloister_model_call_duration_seconds',
    'Time from a model call to the end of its answer or failure.',
    ['model'],
    CALL_BUCKETS,
  )
  const tokens = counter(
    'cloister_model_tokens_total',
    'Tokens by direction: input (all of it), output, and of the input cache_read and cache_write.',
    ['model', 'direction'],
  )
  const artifactBytes = counter('cloister_artifact_bytes_total', 'Bytes of artifacts that were stored.', [])

  const knownModel = bounded(MODELS)
  const told: Partial<Record<Event['type'], (data: Record<string, unknown>) => void>> = {
    'invocation.completed': (data) => {
      const tool = text(data['tool_name'])
      invocations.inc({ tool, status: text(data['status']) })
      if (typeof data['duration_ms'] === 'number') durations.observe({ tool }, data['duration_ms'] / 1000)
      const error = object(data['error'])
      if (error) failures.inc({ tool, code: text(error['code']) })
    },
    'invocation.denied': (data) => {
      const tool = text(data['tool_name'])
      invocations.inc({ tool, status: 'denied' })
      denials.inc({ tool, rule: text(data['rule'] ?? object(data['error'])?.['code']) })
    },
    'approval.requested': () => approvals.inc({ outcome: 'requested' }),
    'approval.decided': (data) => approvals.inc({ outcome: text(data['status']) }),
    'approval.expired': () => approvals.inc({ outcome: 'expired' }),
    'approval.used': () => approvals.inc({ outcome: 'used' }),
    'sandbox.started': (data) => {
      const labels = { kind: text(data['kind']), purpose: text(data['purpose']) }
      if (typeof data['duration_ms'] === 'number') sandboxStarts.observe(labels, data['duration_ms'] / 1000)
    },
    'sandbox.stopped': (data) => sandboxEnds.inc({ kind: text(data['kind']), how: 'stopped' }),
    'sandbox.lost': (data) => sandboxEnds.inc({ kind: text(data['kind']), how: 'lost' }),
    'turn.completed': (data) => turns.inc({ outcome: text(data['status']) }),
    'turn.interrupted': () => turns.inc({ outcome: 'interrupted' }),
    'model.called': (data) => {
      const model = knownModel(text(data['model']))
      modelCalls.inc({ model, outcome: text(object(data['error'])?.['kind'] ?? 'ok') })
      if (typeof data['latency_ms'] === 'number') modelDurations.observe({ model }, data['latency_ms'] / 1000)
      for (const [name, count] of Object.entries(object(data['usage']) ?? {}))
        if (typeof count === 'number' && name.endsWith('_tokens'))
          tokens.inc({ model, direction: name.slice(0, -'_tokens'.length) }, count)
    },
    'artifact.stored': (data) => {
      if (typeof data['size_bytes'] === 'number') artifactBytes.inc(data['size_bytes'])
    },
  }

  return {
    requests,
    requestDurations,
    /** Hears one event of the log. */
    count: (event: Pick<Event, 'type' | 'data'>) => told[event.type]?.(event.data),
  }
}

/** A label's values, the first `limit` of them; the rest are `other`. */
function bounded(limit: number): (value: string) => string {
  const known = new Set<string>()
  return (value) => {
    if (known.size < limit) known.add(value)
    return known.has(value) ? value : 'other'
  }
}

function text(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : 'unknown'
}

function object(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
}

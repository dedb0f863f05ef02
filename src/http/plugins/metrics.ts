import { Counter, collectDefaultMetrics, Gauge, Histogram } from 'prom-client'
import type { App } from '../app-type.ts'
import type { AppDependencies } from '../dependencies.ts'
import type { EventStreams } from '../event-streams.ts'

/**
 * What can be counted: requests by route and status, open event streams, sessions by state (asked at each scrape), invocations by
 * tool and status (heard from the log), and the process itself. Labels are routes and tool names, never ids.
 */
export function metrics(app: App, deps: AppDependencies, streams: EventStreams): void {
  const registers = [deps.metrics]
  collectDefaultMetrics({ register: deps.metrics })

  const labelNames = ['method', 'route', 'status'] as const
  const requests = new Counter({ name: 'cloister_http_requests_total', help: 'HTTP requests answered.', labelNames, registers })
  const durations = new Histogram({
    name: 'cloister_http_request_duration_seconds',
    help: 'Time from a request to the end of its answer.',
    labelNames: ['method', 'route'] as const,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.is404 ? 'unknown' : (request.routeOptions.url ?? 'unknown')
    requests.inc({ method: request.method, route, status: reply.statusCode })
    // An event stream lasts as long as somebody listens: its duration says nothing.
    if (!String(reply.getHeader('content-type')).startsWith('text/event-stream'))
      durations.observe({ method: request.method, route }, reply.elapsedTime / 1000)
  })

  new Gauge({
    name: 'cloister_event_streams',
    help: 'Open event streams.',
    registers,
    collect() {
      this.set(streams.open)
    },
  })

  new Gauge({
    name: 'cloister_sessions',
    help: 'Sessions by state.',
    labelNames: ['state'] as const,
    registers,
    async collect() {
      for (const [state, count] of Object.entries(await deps.countSessions())) this.set({ state }, count)
    },
  })

  const invocations = new Counter({
    name: 'cloister_invocations_total',
    help: 'Invocations that ended, by tool and status.',
    labelNames: ['tool', 'status'] as const,
    registers,
  })
  const unsubscribe = deps.eventLog.subscribeAll((event) => {
    if (event.type !== 'invocation.completed' && event.type !== 'invocation.denied') return
    const status = event.type === 'invocation.denied' ? 'denied' : event.data['status']
    const tool = event.data['tool_name']
    if (typeof tool === 'string' && typeof status === 'string') invocations.inc({ tool, status })
  })
  app.addHook('onClose', async () => unsubscribe())
}

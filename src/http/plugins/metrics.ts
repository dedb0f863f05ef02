import { collectDefaultMetrics } from 'prom-client'
import { makeMetrics } from '../../telemetry/metrics.ts'
import type { App } from '../app-type.ts'
import type { AppDependencies } from '../dependencies.ts'
import type { EventStreams } from '../event-streams.ts'

/** Counts the requests, and what the log tells of. What each metric is: docs/metrics.md. */
export function metrics(app: App, deps: AppDependencies, streams: EventStreams): void {
  collectDefaultMetrics({ register: deps.metrics })
  const { countSessions, countConnectors } = deps
  const made = makeMetrics(deps.metrics, { openStreams: () => streams.open, countSessions, countConnectors })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.is404 ? 'unknown' : (request.routeOptions.url ?? 'unknown')
    made.requests.inc({ method: request.method, route, status: reply.statusCode })
    // An event stream lasts as long as somebody listens: its duration says nothing.
    if (!String(reply.getHeader('content-type')).startsWith('text/event-stream'))
      made.requestDurations.observe({ method: request.method, route }, reply.elapsedTime / 1000)
  })
  const unsubscribe = deps.eventLog.subscribeAll((event) => made.count(event))
  app.addHook('onClose', async () => unsubscribe())
}

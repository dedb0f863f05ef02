import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'

export function metricsPage(app: App, { metrics }: AppDependencies): void {
  app.get(
    '/metrics',
    {
      config: { public: true },
      schema: {
        operationId: 'metrics',
        tags: ['server'],
        summary: 'Metrics in the Prometheus text format',
        security: [],
        response: { 200: { description: 'Prometheus text format.', content: { 'text/plain': { schema: z.string() } } } },
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()),
  )
}

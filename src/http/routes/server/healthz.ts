import { z } from 'zod'
import type { App } from '../../app-type.ts'

/** Liveness: the process answers. */
export function healthz(app: App): void {
  app.get(
    '/healthz',
    {
      config: { public: true },
      schema: {
        operationId: 'healthz',
        tags: ['server'],
        summary: 'Is the process alive?',
        security: [],
        response: { 200: z.object({ status: z.literal('ok') }) },
      },
    },
    async () => ({ status: 'ok' as const }),
  )
}

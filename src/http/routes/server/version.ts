import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'

export function version(app: App, deps: AppDependencies): void {
  app.get(
    '/v1/version',
    {
      config: { public: true },
      schema: {
        operationId: 'version',
        tags: ['server'],
        summary: 'Versions of the server and of its API',
        security: [],
        response: { 200: z.object({ name: z.literal('cloister'), version: z.string(), api_version: z.literal('v1') }) },
      },
    },
    async () => ({ name: 'cloister' as const, version: deps.version, api_version: 'v1' as const }),
  )
}

import { z } from 'zod'
import type { App } from '../../app-type.ts'

export function openapiDocument(app: App): void {
  app.get(
    '/openapi.json',
    {
      config: { public: true },
      schema: {
        operationId: 'openapi',
        tags: ['server'],
        summary: 'This document',
        security: [],
        response: { 200: z.any().meta({ type: 'object', description: 'OpenAPI 3.1.' }) },
      },
    },
    async () => app.swagger(),
  )
}

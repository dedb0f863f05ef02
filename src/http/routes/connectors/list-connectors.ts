import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { connectorSchema } from '../../schemas/connector.ts'
import { responds } from '../../schemas/error.ts'

export function listConnectors(app: App, { connectors }: AppDependencies): void {
  app.get(
    '/v1/connectors',
    {
      schema: {
        operationId: 'listConnectors',
        tags: ['connectors'],
        summary: 'List connectors',
        description: 'Admins only.',
        response: responds({ 200: z.object({ connectors: z.array(connectorSchema) }) }, 403),
      },
    },
    async (request) => ({ connectors: await connectors.list(request.caller) }),
  )
}

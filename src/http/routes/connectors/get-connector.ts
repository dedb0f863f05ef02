import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { connectorParams, time } from '../../schemas/common.ts'
import { connectorListSchema, connectorSchema, differencesSchema } from '../../schemas/connector.ts'
import { responds } from '../../schemas/error.ts'

const reviewSchema = z.object({
  id: z.string(),
  connector: z.string(),
  source_digest: z.string(),
  digest: z.string(),
  reviewed_by: z.string(),
  reviewed_at: time(),
})

export function getConnector(app: App, { connectors }: AppDependencies): void {
  app.get(
    '/v1/connectors/:connector',
    {
      schema: {
        operationId: 'getConnector',
        tags: ['connectors'],
        summary: 'Get a connector, with the tools that were reviewed',
        description: 'Admins only. The server is not asked.',
        params: connectorParams,
        response: responds(
          {
            200: z.object({
              connector: connectorSchema,
              list: connectorListSchema.nullable().describe('What was reviewed last; null: nothing was.'),
              differences: differencesSchema.describe('What was seen to differ from it since.'),
              reviews: z.array(reviewSchema).describe('The last ones, newest first.'),
            }),
          },
          403,
          404,
        ),
      },
    },
    async (request) => connectors.get(request.caller, request.params.connector),
  )
}

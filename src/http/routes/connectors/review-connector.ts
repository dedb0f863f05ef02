import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { connectorParams } from '../../schemas/common.ts'
import { connectorListSchema, connectorSchema, differencesSchema } from '../../schemas/connector.ts'
import { responds } from '../../schemas/error.ts'

export function reviewConnector(app: App, { connectors }: AppDependencies): void {
  app.post(
    '/v1/connectors/:connector/review',
    {
      schema: {
        operationId: 'reviewConnector',
        tags: ['connectors'],
        summary: "Ask a connector's server for its tools, and let them in",
        description: `Admins only. Without \`digest\`: what it lists now and how that differs from what was reviewed. With the digest of
the list that was looked at: that list is let in; 409 when the server lists another one by now, when it could not be asked, and when the
policies in force do not fit the tools.`,
        params: connectorParams,
        body: z
          .strictObject({
            digest: z
              .string()
              .regex(/^[0-9a-f]{64}$/)
              .optional(),
          })
          .nullish(),
        response: responds(
          {
            200: z.object({
              connector: connectorSchema,
              list: connectorListSchema,
              differences: differencesSchema.describe('From what was reviewed before.'),
              accepted: z.boolean(),
            }),
          },
          403,
          404,
          409,
          503,
        ),
      },
    },
    async (request) => connectors.review(request.caller, request.params.connector, request.body?.digest ?? null),
  )
}

import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { principalName, time } from '../../schemas/common.ts'
import { publicErrors } from '../../schemas/error.ts'
import { userSchema } from '../../schemas/user.ts'

export function login(app: App, { auth }: AppDependencies): void {
  app.post(
    '/v1/auth/login',
    {
      config: { public: true },
      bodyLimit: 16_384,
      schema: {
        operationId: 'login',
        tags: ['auth'],
        summary: 'Exchange a user name and password for a token',
        security: [],
        body: z.strictObject({
          user: z.string().min(1).max(256),
          password: z.string().min(1).max(1024),
          tenant: principalName().optional().describe('Default: `default`.'),
        }),
        response: {
          200: z.object({ token: z.string(), expires_at: time(), user: userSchema }),
          ...publicErrors(400, 401, 413, 429, 500, 503),
        },
      },
    },
    async (request) => auth.login(request.body.user, request.body.password, request.body.tenant, request.ip),
  )
}

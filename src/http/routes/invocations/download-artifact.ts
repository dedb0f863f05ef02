import { z } from 'zod'
import type { App } from '../../app-type.ts'
import type { AppDependencies } from '../../dependencies.ts'
import { responds } from '../../schemas/error.ts'
import { bytes, sendBytes } from '../../send-bytes.ts'

export function downloadArtifact(app: App, { invocations }: AppDependencies): void {
  app.get(
    '/v1/invocations/:invocation_id/artifacts/:artifact_id',
    {
      schema: {
        operationId: 'downloadArtifact',
        tags: ['invocations'],
        summary: 'Download an artifact',
        params: z.strictObject({ invocation_id: z.string().min(1).max(128), artifact_id: z.string().min(1).max(128) }),
        response: responds({ 200: bytes('The bytes.') }, 403, 404),
      },
    },
    async (request, reply) => {
      const { artifact, content } = await invocations.artifact(
        request.caller,
        request.params.invocation_id,
        request.params.artifact_id,
      )
      return sendBytes(reply, { name: artifact.name, size: artifact.size_bytes }).send(content)
    },
  )
}
